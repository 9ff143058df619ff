/* The command: seeds, kept ones, a while of fresh ones, pairs of faults. */
#include "common/base/check.h"
#include "tests/sim/chaos.h"
#include "tests/sim/losses.h"
#include "tests/sim/pairs.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct options {
    unsigned long long first, last; /* --seeds */
    bool seeds;
    const char *kept;        /* --kept FILE: one seed a line, "#" begins a remark */
    unsigned long long from; /* --from */
    long seconds;            /* --seconds: fresh seeds from there until the time is over */
    int turns;               /* --turns: at most so many bad turns */
    const char *pair;        /* --pair NAME: as a failure names it */
    unsigned long pairs;     /* --pairs N: all pairs of faults in N histories */
    unsigned long losses;    /* --losses N: each kind of loss in the worlds 1..N */
    FILE *trace;
};

struct tally {
    unsigned long long passed, failed;
};

/* A failed CHECK or a wild pointer ends the process; what ran must be known all the same. */
static void crashed(int number)
{
    static const char before[] = "crashed; replay: ", after[] = "\n";
    ssize_t written = write(STDOUT_FILENO, before, sizeof(before) - 1);
    written += write(STDOUT_FILENO, sim_running, strlen(sim_running));
    written += write(STDOUT_FILENO, after, 1);
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static void seed_try(struct chaos *chaos, unsigned long long seed, const struct options *options, struct tally *tally)
{
    char why[SIM_TEXT_SIZE] = "";
    snprintf(sim_running, sizeof(sim_running), "./tests/sim/run --seeds %llu..%llu --trace", seed, seed);
    if (chaos_seed(chaos, seed, options->turns, options->trace, why)) {
        tally->passed++;
        return;
    }
    tally->failed++;
    printf("seed %llu failed: %s\n", seed, why);
    if (!options->trace)
        printf("  replay: ./tests/sim/run --seeds %llu..%llu --turns %d --trace\n", seed, seed,
               chaos_shrink(chaos, seed));
    fflush(stdout);
}

static void kept_try(struct chaos *chaos, const struct options *options, struct tally *tally)
{
    char line[256];
    unsigned long long seed;
    FILE *file = fopen(options->kept, "r");
    CHECK(file);
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "%llu", &seed) == 1)
            seed_try(chaos, seed, options, tally);
    fclose(file);
    printf("%llu kept seeds run again\n", tally->passed + tally->failed);
}

static long seconds_now(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (long)now.tv_sec;
}

static unsigned long long fresh_try(struct chaos *chaos, const struct options *options, struct tally *tally)
{
    long began = seconds_now();
    unsigned long long seed = options->from;
    while (seconds_now() - began < options->seconds)
        seed_try(chaos, seed++, options, tally);
    printf("fresh seeds: %llu..%llu\n", options->from, seed - 1);
    return seed - options->from;
}

static void pairs_try(const struct options *options, struct tally *tally)
{
    struct pairs_tally pairs = {0};
    for (unsigned long seed = 1; seed <= options->pairs; seed++)
        for (int kind = 0; kind < 4; kind++)
            pairs_run(seed, kind & 1, kind & 2, &pairs);
    printf("pairs of faults on the commit path: %lu passed, %lu failed\n", pairs.passed, pairs.failed);
    tally->passed += pairs.failed == 0; /* one test, however many pairs */
    tally->failed += pairs.failed;
}

static void losses_try(const struct options *options, struct tally *tally)
{
    struct losses_tally losses = {0};
    for (unsigned long seed = 1; seed <= options->losses; seed++)
        losses_run(seed, &losses);
    bool all = losses_report(&losses);
    printf("losses that Kafka and Redis promise not to have: %lu passed, %lu failed%s\n", losses.passed, losses.failed,
           all ? "" : "; a kind of loss never came about");
    tally->passed += losses.failed == 0 && all; /* one test */
    tally->failed += losses.failed + !all;
}

/* ---- the command line ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: sim [--seeds A..B] [--kept FILE] [--from A --seconds N] [--turns N] [--pairs N] [--pair NAME] "
            "[--losses N] [--trace]\n");
    return 2;
}

static bool option_read(const char *name, const char *value, struct options *options)
{
    if (strcmp(name, "--seeds") == 0) {
        options->seeds = true;
        return sscanf(value, "%llu..%llu", &options->first, &options->last) == 2 && options->first <= options->last;
    }
    if (strcmp(name, "--kept") == 0)
        options->kept = value;
    else if (strcmp(name, "--from") == 0)
        return sscanf(value, "%llu", &options->from) == 1;
    else if (strcmp(name, "--seconds") == 0)
        return sscanf(value, "%ld", &options->seconds) == 1;
    else if (strcmp(name, "--pair") == 0)
        options->pair = value;
    else if (strcmp(name, "--pairs") == 0)
        return sscanf(value, "%lu", &options->pairs) == 1;
    else if (strcmp(name, "--losses") == 0)
        return sscanf(value, "%lu", &options->losses) == 1;
    else if (strcmp(name, "--turns") == 0)
        return sscanf(value, "%d", &options->turns) == 1;
    else
        return false;
    return true;
}

static bool options_read(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            options->trace = stdout;
        else if (i + 1 == argc || !option_read(argv[i], argv[i + 1], options))
            return false;
        else
            i++;
    }
    return options->seeds || options->kept || options->seconds || options->pairs || options->pair || options->losses;
}

int main(int argc, char **argv)
{
    struct options options = {.from = 1};
    struct tally tally = {0};
    if (!options_read(argc, argv, &options))
        return usage();
    if (options.pair)
        return pairs_replay(options.pair, stdout) ? 0 : 1;
    signal(SIGABRT, crashed);
    signal(SIGSEGV, crashed);
    struct chaos *chaos = calloc(1, sizeof(*chaos));
    CHECK(chaos);
    unsigned long long seeds = 0;
    if (options.pairs)
        pairs_try(&options, &tally);
    if (options.losses)
        losses_try(&options, &tally);
    if (options.kept)
        kept_try(chaos, &options, &tally);
    for (unsigned long long seed = options.first; options.seeds && seed <= options.last; seed++, seeds++)
        seed_try(chaos, seed, &options, &tally);
    if (options.seconds)
        seeds += fresh_try(chaos, &options, &tally);
    int seldom = seeds ? chaos_report(chaos, seeds) : 0;
    if (seldom)
        printf("%d situations were reached too seldom: this run proves too little\n", seldom);
    tally.failed += seldom > 0;
    printf("%llu passed, %llu failed, 0 skipped\n", tally.passed, tally.failed);
    free(chaos);
    return tally.failed ? 1 : 0;
}
