/* The places of nodes: see pure/places.py, which this follows line by line. */
#include "graph/places.h"

#include <stdlib.h>

enum { MAX_PERIOD = 3, WAITING = 1, DONE = 2 };

typedef struct {
    const PlaceInput *input;
    uint64_t *keys, *steps;
    uint8_t *repeats, *state;
    uint32_t *parent, *trail;
} Places;

/* Combine two keys in their order (the finaliser of splitmix64). */
static uint64_t
mix(uint64_t key, uint64_t value)
{
    uint64_t mixed = key * UINT64_C(0x9E3779B97F4A7C15) + value + UINT64_C(0x7F4A7C15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ mixed >> 31;
}

static int
is_wild(uint32_t kind)
{
    return kind == KEY || kind == INDEX || kind == ITEM;
}

static void
find_parents(Places *places)
{
    const PlaceInput *input = places->input;
    for (uint32_t source = 0; source < input->node_count; source++) {
        for (uint64_t edge = input->offset[source]; edge < input->offset[source + 1]; edge++) {
            if (input->path[input->target[edge]] == edge) {
                places->parent[input->target[edge]] = source;
            }
        }
    }
}

/* Give a node the key of an ancestor that was reached by the same step. */
static void
find_repetition(Places *places, uint32_t node)
{
    uint32_t ancestor = places->parent[node];
    for (int distance = 0; distance < MAX_PERIOD && ancestor != 0; distance++) {
        if (places->steps[ancestor] == places->steps[node]) {
            places->keys[node] = places->keys[ancestor];
            places->repeats[node] = 1;
            return;
        }
        ancestor = places->parent[ancestor];
    }
}

static void
place_node(Places *places, uint32_t node)
{
    const PlaceInput *input = places->input;
    uint32_t edge = input->path[node], above = places->parent[node], label = input->label[edge];
    uint64_t type = input->type_key[input->type[node]];
    if (above == 0) {
        places->keys[node] = places->steps[node] = mix(input->root_key[edge], type);
        return;
    }
    uint32_t kind = label & KIND_MASK;
    uint64_t text = is_wild(kind) ? 0 : input->string_key[label >> LABEL_BITS];
    uint64_t step = places->steps[node] = mix(mix(kind + 1, text), type);
    uint64_t base = places->keys[above];
    if (kind == ATTRIBUTE && input->path[above] != NODE_NONE
        && input->label[input->path[above]] == input->namespace_label) {
        base = places->keys[places->parent[above]];
    }
    places->keys[node] = mix(base, step);
    if (label != input->namespace_label) {
        find_repetition(places, node);
    }
}

static void
place_all(Places *places)
{
    const PlaceInput *input = places->input;
    for (uint32_t start = 1; start < input->node_count; start++) {
        uint32_t length = 0, node = start;
        while (node != 0 && places->state[node] == 0 && input->path[node] != NODE_NONE) {
            places->state[node] = WAITING;
            places->trail[length++] = node;
            node = places->parent[node];
        }
        while (length != 0) {
            node = places->trail[--length];
            places->state[node] = DONE;
            if (places->keys[node] == 0) {
                place_node(places, node);
            }
            else { /* an anchor */
                find_repetition(places, node);
            }
        }
    }
}

int
find_places(const PlaceInput *input, uint64_t *keys, uint8_t *repeats)
{
    size_t count = input->node_count;
    Places places = {input, keys, calloc(count, sizeof(uint64_t)), repeats, calloc(count, 1),
                     calloc(count, sizeof(uint32_t)), calloc(count, sizeof(uint32_t))};
    int failed = places.steps == NULL || places.state == NULL || places.parent == NULL
                 || places.trail == NULL;
    if (!failed) {
        find_parents(&places);
        for (uint32_t i = 0; i < input->anchor_count; i++) {
            if (input->path[input->anchor[i]] != NODE_NONE) {
                keys[input->anchor[i]] = places.steps[input->anchor[i]] = input->anchor_key[i];
            }
        }
        place_all(&places);
    }
    free(places.steps);
    free(places.state);
    free(places.parent);
    free(places.trail);
    return failed ? -1 : 0;
}
