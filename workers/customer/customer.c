/* `oriori customer show ID`: what is known of one customer, from Redis or from a run's folder. */
#include "workers/subcommand.h"

#include "common/base/hash.h"
#include "common/base/trace_context.h"
#include "common/codec/internal_records.h"
#include "common/codec/record_json.h"
#include "common/flow/quarantine.h"
#include "common/io/store_redis.h"
#include "workers/customer/decisions.h"
#include "workers/customer/states.h"
#include "workers/playbook/in_force.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: oriori customer show ID [--config FILE | --from DIR] [--at TIME] [--decisions N] [--json]\n"
    "       oriori customer list    [--config FILE | --from DIR] [--at TIME]\n\n"
    "show prints a customer's tier, phase, growth and segment and the facts behind them, as of now, or of TIME. list\n"
    "prints a `state` record, as `oriori simulate --states` does, of each customer in the changelog.\n\n"
    "  --config FILE   the worker's config: asks its Redis, or its Kafka for all customers\n"
    "  --from DIR      a folder that a run with log: memory left behind (its crm.state.jsonl and config.yaml)\n"
    "  --at TIME       as of then: UTC ms, or ISO 8601 with an offset\n"
    "  --decisions N   also the newest N decisions of the rules about him, with the values they read: out of his "
    "history\n"
    "                  in Redis (redis.history), or all of crm.decisions where that is off or not long enough\n"
    "  --json          the `state` record of `oriori simulate --states`\n\n"
    "example: oriori customer show hanako --config deploy/examples/worker.yaml\n";

struct options {
    const char *config;
    const char *folder;
    const char *id;   /* NULL: all */
    int64_t at;       /* NEVER: now */
    size_t decisions; /* so many of the newest; 0 = none */
    bool json;
};

/* ---- where the state comes from ---- */

struct found {
    struct span state;                 /* empty = not known */
    int64_t clock;                     /* the shard's last T, UTC ms; NEVER = none yet */
    char playbook[IN_FORCE_TEXT_SIZE]; /* his shard's, for people; "" = that of the run's own folder */
};

static void note_meta(struct setup *setup, struct found *found, struct span value, int32_t shard, struct arena *arena)
{
    struct meta meta;
    if (!meta_decode(value, arena, &meta) || meta.shard != shard)
        return;
    found->clock = meta.clock;
    in_force_of(setup, meta.playbook_hash, found->playbook);
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
        note_meta(setup, found, meta.last, shard, arena);
    store_close(&store);
    buffer_release(&error);
    return good;
}

static bool state_from_folder(struct setup *setup, const char *folder, struct span id, struct arena *arena,
                              struct found *found)
{
    struct states states;
    bool good = states_read_folder(setup, folder, &states);
    *found = (struct found){.state = states_of(&states, id, arena), .clock = states.clock};
    states_release(&states);
    return good;
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
    for (size_t i = 0; i < report->trace_count; i++) {
        char text[2 * TRACE_ID_SIZE + 1];
        trace_hex((const unsigned char *)report->traces[i].data, TRACE_ID_SIZE, text);
        printf("  %-22s %s\n", i ? "" : "of the traces", text);
    }
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

static bool read_decisions(struct setup *setup, const struct options *options, struct decisions *decisions)
{
    bool enough = false;
    if (options->folder)
        return decisions_read_folder(setup, options->folder, decisions);
    if (!setup_schemas(setup) || !decisions_read_history(setup, decisions, &enough) || enough)
        return enough;
    struct decisions again = {.id = decisions->id, .most = decisions->most};
    decisions_release(decisions);
    *decisions = again;
    return decisions_read_topic(setup, decisions);
}

static bool show_decisions(struct setup *setup, struct span id, const struct options *options)
{
    struct decisions decisions = {.id = id, .most = options->decisions};
    bool good = read_decisions(setup, options, &decisions);
    if (good)
        decisions_print(&decisions, options->json);
    decisions_release(&decisions);
    return good;
}

/* An erased customer has no history any more (R31). */
static bool show(struct setup *setup, struct span id, const struct found *found, const struct options *options,
                 struct arena *arena)
{
    int64_t now = states_instant(setup, found->clock, options->at);
    struct customer_report report;
    struct buffer line = {0};
    if (quarantine_holds(found->state))
        fprintf(stderr,
                "oriori: %.*s is quarantined: his records are dead letters until his letter of the state topic is "
                "redriven (`oriori dlq list --reason quarantined`)\n",
                (int)id.size, id.data);
    if (!step_report(&setup->world, arena, id, quarantine_seen(found->state), now, &report)) {
        fprintf(stderr, "oriori: the state of %.*s is none that this version can read\n", (int)id.size, id.data);
        return false;
    }
    if (options->json) {
        report_json_write(id, &report, &line);
        puts(line.data);
    } else {
        print_text(id, &report);
        if (found->playbook[0])
            printf("  %-22s %s\n", "playbook", found->playbook);
    }
    buffer_release(&line);
    return options->decisions == 0 || report.erased || show_decisions(setup, id, options);
}

/* ---- the command ---- */

static bool run_show(struct setup *setup, const struct options *options)
{
    struct arena arena;
    struct span id = span_of(options->id);
    struct found found = {.clock = NEVER};
    arena_init(&arena, 0);
    bool good = options->folder ? state_from_folder(setup, options->folder, id, &arena, &found)
                                : state_from_redis(setup, id, &arena, &found);
    if (good && span_empty(found.state)) {
        fprintf(stderr, "oriori: customer %s is not known\n", options->id);
        good = false;
    }
    good = good && show(setup, id, &found, options, &arena);
    arena_release(&arena);
    return good;
}

static bool run_list(struct setup *setup, const struct options *options)
{
    struct states states;
    char playbook[IN_FORCE_TEXT_SIZE];
    if (!options->folder)
        in_force_last(setup, playbook); /* the records leave no place to say which */
    bool good =
        options->folder ? states_read_folder(setup, options->folder, &states) : states_read_topic(setup, &states);
    good = good && states_list(setup, &states, options->at);
    states_release(&states);
    return good;
}

static bool run(const struct options *options)
{
    struct setup setup;
    struct buffer path = {0};
    if (options->folder)
        buffer_format(&path, "%s/config.yaml", options->folder);
    bool good = setup_config(&setup, options->folder ? path.data : options->config) && setup_world(&setup) &&
                (options->id ? run_show(&setup, options) : run_list(&setup, options));
    buffer_release(&path);
    setup_close(&setup);
    return good;
}

/* What follows the options: `show ID` or `list`. */
static bool read_verb(int count, char **words, struct options *options)
{
    bool show = count == 2 && strcmp(words[0], "show") == 0, list = count == 1 && strcmp(words[0], "list") == 0;
    options->id = show ? words[1] : NULL;
    return (show || (list && options->decisions == 0)) && !(options->config && options->folder);
}

static bool read_count(const char *text, size_t *ret_count)
{
    char *end;
    long count = strtol(text, &end, 10);
    *ret_count = (size_t)count;
    return end != text && *end == '\0' && count >= 1 && count <= DECISIONS_SHOWN_MAX;
}

int customer_main(int argc, char **argv)
{
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"from", required_argument, NULL, 'f'},
                                          {"at", required_argument, NULL, 'a'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"decisions", required_argument, NULL, 'd'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.at = NEVER};
    int option;
    while ((option = getopt_long(argc, argv, "c:f:a:jh", known, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option == 'c')
            options.config = optarg;
        else if (option == 'f')
            options.folder = optarg;
        else if (option == 'a' && timestamp_read(span_of(optarg), &options.at))
            continue;
        else if (option == 'a')
            return fprintf(stderr, "oriori: --at: \"%s\" is no time (UTC ms, or ISO 8601 with an offset)\n", optarg),
                   EXIT_USAGE;
        else if (option == 'd' && read_count(optarg, &options.decisions))
            continue;
        else if (option == 'd')
            return fprintf(stderr, "oriori: --decisions: \"%s\" is no number from 1 to %d\n", optarg,
                           DECISIONS_SHOWN_MAX),
                   EXIT_USAGE;
        else if (option == 'j')
            options.json = true;
        else
            return fputs(usage, stderr), EXIT_USAGE;
    }
    if (!read_verb(argc - optind, argv + optind, &options)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return run(&options) ? EXIT_DONE : EXIT_FAILED;
}
