/* ORIORI_FAULT: at named places of the commit path and of the recovery the worker kills itself, empties Redis, or
 * stands still while the world goes on. The seams are where all of these places are: each hook asks, then passes the
 * call on. */
#define _GNU_SOURCE /* close_range */
#include "common/base/check.h"
#include "common/io/redis_reach.h"
#include "tests/hooks/hooks.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    RULES_MAX = 16,
    STALL_MS = 9000, /* longer than the session of 6 s that the tests' workers have */
    WAKINGS = 3      /* SIGCONT may come before SIGSTOP on a busy machine: it is sent again */
};

enum place { BEFORE_OFFSETS, BEFORE_COMMIT, BEFORE_APPLY, BEFORE_LOAD, IN_RECOVERY, PLACE_COUNT };
static const char *const place_names[PLACE_COUNT] = {"before_offsets", "before_commit", "before_apply", "before_load",
                                                     "in_recovery"};

static void die(int64_t milliseconds);
static void wipe(int64_t milliseconds);
static void stall(int64_t milliseconds);
static const struct deed {
    const char *name;
    void (*run)(int64_t milliseconds);
} deeds[] = {{"kill", die}, {"flushall", wipe}, {"stall", stall}};

struct fault_rule {
    enum place place;
    const struct deed *deed;
    double rate;          /* probability of each pass; 0 with `at` */
    int64_t at;           /* this pass only, from 1; 0 with `rate` */
    int64_t milliseconds; /* of a stall */
};

static struct fault_rule rules[RULES_MAX];
static size_t rule_count;
static int64_t passes[PLACE_COUNT];
static bool committed; /* and not yet applied */
static const struct config *config_used;
static struct log_calls log_real, log_hooked;
static struct store_calls store_real, store_hooked;

/* ---- deeds ---- */

static void die(int64_t milliseconds)
{
    (void)milliseconds;
    kill(getpid(), SIGKILL);
}

static void wipe(int64_t milliseconds)
{
    struct redis_reach reach;
    struct redis_call calls[REDIS_NODES_MAX];
    int nodes[REDIS_NODES_MAX];
    size_t count = 0;
    (void)milliseconds;
    if (redis_open(&reach, config_used, NULL, 0) && redis_masters(&reach, nodes, &count) == WORLD_DONE) {
        for (size_t i = 0; i < count; i++) {
            redis_call_init(&calls[i], &reach.memory, 1, NULL);
            redis_call_add_text(&calls[i], "FLUSHALL");
            calls[i].node = nodes[i];
        }
        if (redis_run(&reach, calls, count) != WORLD_DONE)
            hooks_say("oriori: test build: FLUSHALL: %s", reach.error.data);
        redis_calls_release(calls, count);
    }
    redis_close(&reach);
}

/* The whole process stands, librdkafka's heartbeats too: a paused machine, and later a zombie. A child wakes it; only
 * async-signal-safe calls there, for other threads held who knows which locks. */
static void stall(int64_t milliseconds)
{
    pid_t parent = getpid();
    signal(SIGCHLD, SIG_IGN);
    pid_t child = fork();
    if (child == 0) {
        struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
        close_range(STDERR_FILENO + 1, ~0U, 0); /* or the servers see our connections after we died */
        for (int i = 0; i < WAKINGS && getppid() == parent; i++) {
            nanosleep(&time, NULL);
            kill(parent, SIGCONT);
        }
        _exit(0);
    }
    if (child > 0)
        kill(parent, SIGSTOP);
}

/* ---- places ---- */

static bool happens(const struct fault_rule *rule)
{
    uint32_t random = 0;
    if (rule->at)
        return rule->at == passes[rule->place];
    ssize_t size = getrandom(&random, sizeof(random), 0);
    return size == (ssize_t)sizeof(random) && random < rule->rate * 4294967296.0;
}

static void pass(enum place place)
{
    passes[place]++;
    for (size_t i = 0; i < rule_count; i++) {
        if (rules[i].place != place || !happens(&rules[i]))
            continue;
        hooks_say("oriori: test build: %s:%s at pass %lld", place_names[place], rules[i].deed->name,
                  (long long)passes[place]);
        rules[i].deed->run(rules[i].milliseconds);
    }
}

static enum world hook_send_offsets(void *context, const struct log_offset *offsets, size_t count)
{
    pass(BEFORE_OFFSETS);
    return log_real.send_offsets(context, offsets, count);
}

static enum world hook_commit(void *context)
{
    pass(BEFORE_COMMIT);
    enum world outcome = log_real.commit(context);
    committed = outcome == WORLD_DONE;
    return outcome;
}

/* An apply without a commit before it is a portion of a rebuild. */
static enum world hook_apply(void *context, struct store_apply *applies, size_t count)
{
    pass(committed ? BEFORE_APPLY : IN_RECOVERY);
    committed = false;
    return store_real.apply(context, applies, count);
}

static enum world hook_load(void *context, struct store_load *loads, size_t count, struct arena *arena,
                            int64_t *ret_server_ms)
{
    pass(BEFORE_LOAD);
    return store_real.load(context, loads, count, arena, ret_server_ms);
}

static enum world hook_take(void *context, int32_t shard, struct span epoch, struct span owner, struct span identity,
                            struct arena *arena, struct store_meta *ret_before)
{
    committed = false;
    pass(IN_RECOVERY);
    return store_real.take(context, shard, epoch, owner, identity, arena, ret_before);
}

static enum world hook_committed(void *context, struct log_offset *offsets, size_t count, int32_t timeout_ms,
                                 struct arena *arena)
{
    pass(IN_RECOVERY);
    return log_real.committed(context, offsets, count, timeout_ms, arena);
}

/* ---- what the environment says ---- */

static bool parse_rule(const char *text, struct fault_rule *ret_rule)
{
    char place[24], deed[16], rate[16], rest[2] = "";
    long long milliseconds = STALL_MS;
    int fields = sscanf(text, "%23[a-z_]:%15[a-z]:%15[0-9.@]:%lld%1s", place, deed, rate, &milliseconds, rest);
    struct fault_rule rule = {.place = PLACE_COUNT, .milliseconds = milliseconds};
    for (int i = 0; i < PLACE_COUNT && fields >= 3; i++)
        if (strcmp(place, place_names[i]) == 0)
            rule.place = (enum place)i;
    for (size_t i = 0; i < COUNT_OF(deeds) && fields >= 3; i++)
        if (strcmp(deed, deeds[i].name) == 0)
            rule.deed = &deeds[i];
    if (rule.place == PLACE_COUNT || rule.deed == NULL || fields > 4 || milliseconds <= 0)
        return false;
    if (rate[0] == '@')
        rule.at = atoll(rate + 1);
    else
        rule.rate = atof(rate);
    *ret_rule = rule;
    return rule.at > 0 || (rule.rate > 0 && rule.rate <= 1);
}

static void parse_rules(const char *text)
{
    char *copy = strdup(text), *rest = NULL;
    CHECK(copy);
    for (char *one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest))
        if (rule_count == RULES_MAX || !parse_rule(one, &rules[rule_count++]))
            hooks_refuse("ORIORI_FAULT", one);
    free(copy);
}

void hooks_install_faults(const struct config *config, struct log *log, struct store *store)
{
    const char *text = getenv("ORIORI_FAULT");
    if (text == NULL || text[0] == '\0')
        return;
    parse_rules(text);
    hooks_say("oriori: test build: faults: %s", text);
    config_used = config;
    log_real = log_hooked = *log->calls;
    store_real = store_hooked = *store->calls;
    log_hooked.send_offsets = hook_send_offsets;
    log_hooked.commit = hook_commit;
    log_hooked.committed = hook_committed;
    store_hooked.apply = hook_apply;
    store_hooked.load = hook_load;
    store_hooked.take = hook_take;
    log->calls = &log_hooked;
    store->calls = &store_hooked;
}
