/* `oriori pause` and `oriori resume`: one control record to every crm.forward[h] in one transaction, so that no shard
 * obeys without the others, whoever is at work; each shard keeps it in its `__meta`. */
#include "workers/subcommand.h"

#include "common/codec/internal_records.h"
#include "common/io/kafka_command.h"
#include "common/playbook/nearest.h"
#include "workers/playbook/in_force.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char pause_usage[] =
    "usage: oriori pause RULE            --config FILE\n"
    "       oriori pause --all-marketing --config FILE\n\n"
    "Holds a rule, or every rule of class marketing, on all shards, while the workers run: what is due gets the\n"
    "decision `paused` and waits; every quarter of an hour it is looked at again. `oriori resume` lets it run again;\n"
    "what is too late by then is `stale`.\n\n"
    "  --all-marketing   every rule of class marketing\n"
    "  --config FILE     the worker's config\n\n"
    "example: oriori pause thank_you --config deploy/examples/worker.yaml\n";

static const char resume_usage[] =
    "usage: oriori resume RULE            --config FILE\n"
    "       oriori resume --all-marketing --config FILE\n\n"
    "Lets a rule that `oriori pause` holds run again, on all shards. A rule held by its name stays held when all\n"
    "marketing is resumed, and the other way round. What waited is decided within a quarter of an\n"
    "hour; what is too late by then is `stale`.\n\n"
    "  --all-marketing   every rule of class marketing\n"
    "  --config FILE     the worker's config\n\n"
    "example: oriori resume --all-marketing --config deploy/examples/worker.yaml\n";

struct order {
    enum forward_kind kind;
    const char *rule; /* NULL = all marketing */
    const char *config;
};

/* ---- the rule ---- */

static const char *text_of(struct span name, struct arena *arena)
{
    char *text = ARENA_ARRAY(arena, char, name.size + 1);
    memcpy(text, name.data, name.size);
    return text;
}

static bool rule_known(const struct playbook *playbook, const char *text, const char *name)
{
    struct arena arena;
    arena_init(&arena, 0);
    const char **names = ARENA_ARRAY(&arena, const char *, playbook->rule_count + 1);
    bool known = false;
    for (size_t i = 0; i < playbook->rule_count; i++) {
        names[i] = text_of(playbook->rules[i].name, &arena);
        known = known || strcmp(names[i], name) == 0;
    }
    const char *nearest = known ? NULL : nearest_name(span_of(name), names, playbook->rule_count);
    if (!known)
        fprintf(stderr, "oriori: no rule \"%s\" in playbook %s%s%s\n", name, text, nearest ? "; nearest: " : "",
                nearest ? nearest : "");
    arena_release(&arena);
    return known;
}

/* ---- the transaction ---- */

static bool publish(struct kafka_command *command, struct config *config, const struct order *order,
                    const char *playbook)
{
    struct forward forward = {.kind = order->kind, .rule = order->rule ? span_of(order->rule) : SPAN("")};
    struct buffer value = {0};
    forward_encode(&forward, &value);
    bool good = kafka_command_open(command, config) && kafka_command_begin(command);
    for (int32_t h = 0; h < config->shards && good; h++)
        good = kafka_command_produce(command, config_topic(config, "forward"), h, buffer_span(&value));
    good = good && kafka_command_commit(command);
    if (good)
        printf("%s: %s on all %lld shards; playbook %s\n", order->rule ? order->rule : "all marketing",
               order->kind == FORWARD_PAUSE ? "held" : "runs again", (long long)config->shards, playbook);
    else
        fprintf(stderr, "oriori: %s\n", command->error.data);
    buffer_release(&value);
    return good;
}

static int run(const struct order *order)
{
    struct setup setup;
    struct kafka_command command = {0};
    char playbook[IN_FORCE_TEXT_SIZE];
    bool good = setup_config(&setup, order->config) && setup_world(&setup);
    if (good)
        in_force_last(&setup, playbook);
    good = good && (order->rule == NULL || rule_known(setup.playbook, playbook, order->rule)) &&
           publish(&command, &setup.config, order, playbook);
    kafka_command_close(&command);
    setup_close(&setup);
    return good ? EXIT_DONE : EXIT_FAILED;
}

/* ---- the command ---- */

static int order_main(int argc, char **argv, enum forward_kind kind, const char *usage)
{
    static const struct option options[] = {{"all-marketing", no_argument, NULL, 'a'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct order order = {.kind = kind};
    bool all = false, good = true;
    int option;
    while ((option = getopt_long(argc, argv, "ac:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option == 'c')
            order.config = optarg;
        all = all || option == 'a';
        good = good && option != '?';
    }
    if (!good || order.config == NULL || optind + (all ? 0 : 1) != argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    order.rule = all ? NULL : argv[optind];
    return run(&order);
}

int pause_main(int argc, char **argv)
{
    return order_main(argc, argv, FORWARD_PAUSE, pause_usage);
}

int resume_main(int argc, char **argv)
{
    return order_main(argc, argv, FORWARD_RESUME, resume_usage);
}
