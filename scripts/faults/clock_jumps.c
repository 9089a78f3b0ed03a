/* For LD_PRELOAD: the wall clock jumps by up to two days, ahead and back, every 50 milliseconds.
 *
 * Monotonic clocks are left alone. CLOCK_SEED chooses the jumps. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#define TWO_DAYS_SECONDS (2 * 86400)
#define JUMPS_A_SECOND 20

typedef int (*ClockGettime)(clockid_t, struct timespec *);

static ClockGettime
real_clock(void)
{
    static ClockGettime found;
    if (found == NULL) {
        found = (ClockGettime)dlsym(RTLD_NEXT, "clock_gettime");
    }
    return found;
}

/* The seconds by which the clock is wrong now: constant for a twentieth of a second. */
static int64_t
offset_seconds(void)
{
    struct timespec now;
    const char *seed = getenv("CLOCK_SEED");
    real_clock()(CLOCK_MONOTONIC, &now);
    uint64_t step = (uint64_t)now.tv_sec * JUMPS_A_SECOND + (uint64_t)now.tv_nsec / (1000000000 / JUMPS_A_SECOND);
    uint64_t mixed = (step + (seed ? strtoull(seed, NULL, 10) : 0)) * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= mixed >> 29;
    return (int64_t)(mixed % (2 * TWO_DAYS_SECONDS)) - TWO_DAYS_SECONDS;
}

int
clock_gettime(clockid_t clock, struct timespec *result)
{
    int status = real_clock()(clock, result);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        result->tv_sec += offset_seconds();
    }
    return status;
}

int
gettimeofday(struct timeval *result, void *zone)
{
    struct timespec now;
    (void)zone;
    int status = clock_gettime(CLOCK_REALTIME, &now);
    result->tv_sec = now.tv_sec;
    result->tv_usec = now.tv_nsec / 1000;
    return status;
}

time_t
time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result != NULL) {
        *result = now.tv_sec;
    }
    return now.tv_sec;
}
