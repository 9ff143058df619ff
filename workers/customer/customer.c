/* `oriori customer show ID`: what is known of one customer, from Redis or from a run's folder. */
#include "workers/subcommand.h"

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/codec/internal_records.h"
#include "common/codec/record_json.h"
#include "common/io/store_redis.h"
#include "workers/lifecycle/setup.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

static const char usage[] =
    "usage: oriori customer show ID [--config FILE | --from DIR] [--json]\n\n"
    "Shows a customer's tier, phase, growth and segment and the facts behind them, as of now.\n\n"
    "  --config FILE   the worker's config: asks its Redis\n"
    "  --from DIR      a folder that a run with log: memory left behind (its crm.state.jsonl and config.yaml)\n"
    "  --json          the `state` record of `oriori simulate --states`\n\n"
    "example: oriori customer show hanako --config deploy/examples/worker.yaml\n";

struct options {
    const char *config;
    const char *folder;
    const char *id;
    bool json;
};

/* ---- where the state comes from ---- */

struct found {
    struct span state; /* empty = not known */
    int64_t clock;     /* the shard's last T, UTC ms; NEVER = none yet */
};

static void note_meta(struct found *found, struct span value, int32_t shard, struct arena *arena)
{
    struct meta meta;
    if (meta_decode(value, arena, &meta) && meta.shard == shard)
        found->clock = meta.clock;
}

static bool state_from_redis(struct setup *setup, struct span id, struct arena *arena, struct found *found)
{
    struct store_meta meta;
    struct store store = {0};
    struct buffer error = {0};
    bool good = store_redis_open(&setup->config, &store, &error) == WORLD_DONE;
    int32_t shard = (int32_t)hash_home_shard(id, (uint32_t)setup->config.shards);
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    else if (store_customer(&store, shard, id, arena, &found->state) != WORLD_DONE ||
             store_read_meta(&store, shard, arena, &meta) != WORLD_DONE) {
        fprintf(stderr, "oriori: %s\n", store_error_text(&store));
        good = false;
    }
    if (good)
        note_meta(found, meta.last, shard, arena);
    store_close(&store);
    buffer_release(&error);
    return good;
}

static struct span bytes_of(const json_t *record, const char *name, struct arena *arena)
{
    struct span bytes = SPAN_NONE;
    base64_read(span_of(json_string_value(json_object_get(record, name))), arena, &bytes);
    return bytes;
}

/* The last record of the key counts, as in a compacted topic; `__meta`'s key is one byte 0. */
static void state_of_line(const char *line, struct span id, int32_t shard, struct arena *arena, struct found *found)
{
    json_t *record = json_loads(line, 0, NULL);
    struct span key = bytes_of(record, "key", arena);
    if (span_equal(key, id))
        found->state = bytes_of(record, "value", arena);
    else if (span_equal(key, (struct span){"\0", 1}))
        note_meta(found, bytes_of(record, "value", arena), shard, arena);
    json_decref(record);
}

static bool state_from_folder(struct setup *setup, const char *folder, struct span id, struct arena *arena,
                              struct found *found)
{
    struct buffer path = {0};
    int32_t shard = (int32_t)hash_home_shard(id, (uint32_t)setup->config.shards);
    buffer_format(&path, "%s/%s.jsonl", folder, config_topic(&setup->config, "state"));
    FILE *file = fopen(path.data, "r");
    if (file == NULL)
        fprintf(stderr, "oriori: cannot read %s: %s\n", path.data, strerror(errno));
    buffer_release(&path);
    if (file == NULL)
        return false;
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) >= 0)
        state_of_line(line, id, shard, arena, found);
    free(line);
    fclose(file);
    return true;
}

/* ---- how it is shown ---- */

static void print_time(const char *name, int64_t at)
{
    char text[TIMESTAMP_TEXT_SIZE] = "-";
    if (at != NEVER)
        timestamp_text(at, text);
    printf("  %-22s %s\n", name, text);
}

static void print_count(const char *name, int64_t count)
{
    printf("  %-22s %lld\n", name, (long long)count);
}

static void print_yes(const char *name, bool yes)
{
    printf("  %-22s %s\n", name, yes ? "yes" : "no");
}

static void print_classes(const struct customer_classes *classes)
{
    printf("  %-22s %s\n", "tier", class_value_name(DIMENSION_TIER, (int)classes->tier));
    printf("  %-22s %s (cycle %d)\n", "phase", class_value_name(DIMENSION_PHASE, (int)classes->phase), classes->cycle);
    printf("  %-22s %s\n", "growth", class_value_name(DIMENSION_GROWTH, (int)classes->growth));
    printf("  %-22s %s\n", "segment", class_value_name(DIMENSION_SEGMENT, (int)classes->segment));
}

static void print_contact(const struct customer_report *report)
{
    print_yes("registered by mail", report->registered_email);
    print_yes("registered by LINE", report->registered_line);
    print_yes("marketing consent", report->consent);
    print_time("last open or click", report->last_open_at);
    printf("  %-22s %lld opens, %lld clicks\n", "in 60 days", (long long)report->opens_60d,
           (long long)report->clicks_60d);
}

static void print_purchases(const struct customer_report *report)
{
    printf("  %-22s %lld (trial %lld, premium %lld, related %lld)\n", "purchases", (long long)report->purchases,
           (long long)report->trial, (long long)report->premium, (long long)report->related);
    for (size_t i = 0; i < report->money_count; i++)
        printf("  %-22s %lld %.*s (minor units)\n", "spent", (long long)report->money[i].minor,
               (int)report->money[i].currency.size, report->money[i].currency.data);
    print_time("first purchase", report->first_purchase_at);
    print_time("last purchase", report->last_purchase_at);
    print_yes("subscription", report->subscription);
    if (report->subscription)
        print_time("  since", report->subscription_since);
    print_count("renewals", report->renewals);
    printf("  %-22s %lld shipped, %lld delivered, %lld failed\n", "parcels", (long long)report->shipped,
           (long long)report->delivered, (long long)report->failed);
    print_time("first delivery", report->first_delivery_at);
}

static void print_voice(const struct customer_report *report)
{
    printf("  %-22s %lld (positive %lld, negative %lld)\n", "survey answers", (long long)report->responses,
           (long long)report->positive, (long long)report->negative);
    if (report->last_satisfaction)
        print_count("last satisfaction", report->last_satisfaction);
    if (report->last_nps >= 0)
        print_count("last NPS", report->last_nps);
    print_yes("effect felt", report->effect_felt);
    printf("  %-22s %lld made, %lld bought\n", "referrals", (long long)report->referrals,
           (long long)report->referrals_converted);
    printf("  %-22s %lld shares, %lld events, %lld support contacts\n", "beside", (long long)report->shares,
           (long long)report->events_attended, (long long)report->support_contacts);
    printf("  %-22s %zu messages planned, %zu kinds already sent\n", "waiting", report->waiting_count,
           report->used_key_count);
}

static void print_text(struct span id, const struct customer_report *report)
{
    printf("customer %.*s%s\n", (int)id.size, id.data, report->erased ? ": erased" : "");
    if (report->erased)
        return;
    print_classes(&report->classes);
    print_contact(report);
    print_purchases(report);
    print_voice(report);
}

/* As of now; where the clock follows the input, as of the shard's own time. */
static bool show(struct setup *setup, struct span id, const struct found *found, bool json, struct arena *arena)
{
    bool simulated = setup->config.clock == CONFIG_CLOCK_INPUT && found->clock != NEVER;
    int64_t now = simulated ? found->clock : (int64_t)time(NULL) * 1000;
    struct customer_report report;
    struct buffer line = {0};
    if (!step_report(&setup->world, arena, id, found->state, now, &report)) {
        fprintf(stderr, "oriori: the state of %.*s is none that this version can read\n", (int)id.size, id.data);
        return false;
    }
    if (json) {
        report_json_write(id, &report, &line);
        puts(line.data);
    } else {
        print_text(id, &report);
    }
    buffer_release(&line);
    return true;
}

/* ---- the command ---- */

static bool run(const struct options *options)
{
    struct setup setup;
    struct buffer path = {0};
    struct arena arena;
    struct span id = span_of(options->id);
    struct found found = {.clock = NEVER};
    arena_init(&arena, 0);
    if (options->folder)
        buffer_format(&path, "%s/config.yaml", options->folder);
    bool good = setup_config(&setup, options->folder ? path.data : options->config) && setup_world(&setup);
    if (good)
        good = options->folder ? state_from_folder(&setup, options->folder, id, &arena, &found)
                               : state_from_redis(&setup, id, &arena, &found);
    if (good && span_empty(found.state)) {
        fprintf(stderr, "oriori: customer %s is not known\n", options->id);
        good = false;
    }
    good = good && show(&setup, id, &found, options->json, &arena);
    buffer_release(&path);
    arena_release(&arena);
    setup_close(&setup);
    return good;
}

int customer_main(int argc, char **argv)
{
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"from", required_argument, NULL, 'f'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {0};
    int option;
    while ((option = getopt_long(argc, argv, "c:f:jh", known, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option == 'c')
            options.config = optarg;
        else if (option == 'f')
            options.folder = optarg;
        else if (option == 'j')
            options.json = true;
        else
            return fputs(usage, stderr), EXIT_USAGE;
    }
    if (optind + 2 != argc || strcmp(argv[optind], "show") != 0 || (options.config && options.folder)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    options.id = argv[optind + 1];
    return run(&options) ? EXIT_DONE : EXIT_FAILED;
}
