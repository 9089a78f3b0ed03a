/* The places of nodes: see pure/places.py, which this follows line by line. */
#include "graph/places.h"

enum { MAX_PERIOD = 3 };
enum { REPEATS = 1, DONE = 2, ANCHOR = 4 }; /* bits of `state`, of which only the first stays */

typedef struct {
    const PlaceInput *input;
    uint64_t *keys;
    uint8_t *state;
    uint32_t *parent;
    Buffer trail; /* nodes on the way up to one that has a place */
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

static uint64_t
anchor_key(const PlaceInput *input, uint32_t node)
{
    uint32_t low = 0, high = input->anchor_count;
    while (high - low > 1) { /* the last anchor that is no higher than the node */
        uint32_t middle = low + (high - low) / 2;
        if (input->anchor[middle] <= node) {
            low = middle;
        }
        else {
            high = middle;
        }
    }
    return input->anchor_key[low];
}

/* The step that leads to a node from the one above it, as a key. It is found again each time: a
 * column of steps would take as much memory as the result. */
static uint64_t
step_to(const Places *places, uint32_t node)
{
    const PlaceInput *input = places->input;
    if (places->state[node] & ANCHOR) {
        return anchor_key(input, node);
    }
    uint32_t edge = input->path[node];
    if (edge == NODE_NONE) {
        return 0; /* no step: the paths of inconsistent columns may lead to such a node */
    }
    uint32_t label = input->label[edge];
    uint64_t type = input->type_key[input->type[node]];
    if (places->parent[node] == 0) {
        return mix(input->root_key[edge], type);
    }
    uint32_t kind = label & KIND_MASK;
    uint64_t text = is_wild(kind) ? 0 : input->string_key[label >> LABEL_BITS];
    return mix(mix(kind + 1, text), type);
}

/* Give a node the key of an ancestor that was reached by the same step. */
static void
find_repetition(Places *places, uint32_t node, uint64_t step)
{
    uint32_t ancestor = places->parent[node];
    for (int distance = 0; distance < MAX_PERIOD && ancestor != 0; distance++) {
        if (step_to(places, ancestor) == step) {
            places->keys[node] = places->keys[ancestor];
            places->state[node] |= REPEATS;
            return;
        }
        ancestor = places->parent[ancestor];
    }
}

static void
place_node(Places *places, uint32_t node)
{
    const PlaceInput *input = places->input;
    uint64_t step = step_to(places, node);
    uint32_t above = places->parent[node], label = input->label[input->path[node]];
    if (places->state[node] & ANCHOR) {
        places->keys[node] = step;
        find_repetition(places, node, step);
        return;
    }
    if (above == 0) {
        places->keys[node] = step;
        return;
    }
    uint64_t base = places->keys[above];
    if ((label & KIND_MASK) == ATTRIBUTE && input->path[above] != NODE_NONE
        && input->label[input->path[above]] == input->namespace_label) {
        base = places->keys[places->parent[above]];
    }
    places->keys[node] = mix(base, step);
    if (label != input->namespace_label) {
        find_repetition(places, node, step);
    }
}

static int
place_all(Places *places)
{
    const PlaceInput *input = places->input;
    for (uint32_t start = 1; start < input->node_count; start++) {
        uint32_t node = start;
        while (node != 0 && !(places->state[node] & DONE) && input->path[node] != NODE_NONE) {
            places->state[node] |= DONE;
            if (push_u32(&places->trail, node) < 0) {
                return -1;
            }
            node = places->parent[node];
        }
        while (places->trail.size != 0) {
            places->trail.size -= sizeof(uint32_t);
            place_node(places, ITEMS(places->trail, uint32_t)[COUNT(places->trail, uint32_t)]);
        }
    }
    return 0;
}

int
find_places(const PlaceInput *input, uint64_t *keys, uint8_t *repeats)
{
    size_t count = input->node_count;
    Places places = {input, keys, repeats, NULL, {NULL, 0, 0}};
    Buffer parents = {NULL, 0, 0};
    int failed = buffer_zeros(&parents, count * sizeof(uint32_t)) < 0;
    if (!failed) {
        places.parent = ITEMS(parents, uint32_t);
        find_parents(&places);
        for (uint32_t i = 0; i < input->anchor_count; i++) {
            if (input->path[input->anchor[i]] != NODE_NONE) {
                places.state[input->anchor[i]] |= ANCHOR;
            }
        }
        failed = place_all(&places) < 0;
    }
    for (size_t node = 0; node < count; node++) {
        repeats[node] &= REPEATS;
    }
    buffer_free(&parents);
    buffer_free(&places.trail);
    return failed ? -1 : 0;
}
