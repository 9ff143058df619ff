/* `oriori shard adopt|rebuild SHARD`: what only people may decide about a shard. */
#include "workers/subcommand.h"

#include "common/io/logger.h"
#include "common/io/store_redis.h"
#include "workers/shard/adopt.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: oriori shard adopt   SHARD --config FILE\n"
    "       oriori shard rebuild SHARD --config FILE\n\n"
    "adopt restores the committed offsets of a shard that was born and has lost them (expired while the workers were\n"
    "off, or reset by a tool), from the last `__meta` of crm.state, in one transaction. All workers of the group must\n"
    "be stopped; it refuses when some are not, and when the offsets are there. rebuild empties the shard's view in\n"
    "Redis; the worker that owns it reads it anew from crm.state, whether it runs now or starts later. Nothing is\n"
    "lost by either.\n\n"
    "  --config FILE   the worker's config\n\n"
    "example: oriori shard adopt 7 --config deploy/examples/worker.yaml\n";

static bool shard_rebuild(const struct config *config, int32_t shard)
{
    struct store store = {0};
    struct buffer error = {0};
    bool good = store_redis_open(config, &store, &error) == WORLD_DONE;
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    else if (store_drop(&store, shard) != WORLD_DONE) {
        fprintf(stderr, "oriori: %s\n", store_error_text(&store));
        good = false;
    }
    if (good)
        printf("shard %d: its view is empty; its worker rebuilds it from crm.state\n", (int)shard);
    store_close(&store);
    buffer_release(&error);
    return good;
}

static bool shard_number(const struct config *config, const char *text, int32_t *ret_shard)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (text[0] == '\0' || *end != '\0' || number < 0 || number >= config->shards) {
        fprintf(stderr, "oriori: there is no shard %s: they are numbered 0 to %lld\n", text,
                (long long)config->shards - 1);
        return false;
    }
    *ret_shard = (int32_t)number;
    return true;
}

static int run(bool adopt, const char *number, const char *path)
{
    struct config config;
    struct buffer errors = {0};
    int32_t shard;
    bool good = config_load(&config, path, &errors);
    if (!good)
        fputs(errors.data, stderr);
    else
        logger_init(config.level, config.format);
    good = good && shard_number(&config, number, &shard) &&
           (adopt ? shard_adopt(&config, shard) : shard_rebuild(&config, shard));
    config_release(&config);
    buffer_release(&errors);
    return good ? EXIT_DONE : EXIT_FAILED;
}

int shard_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *path = NULL;
    bool good = true;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        good = good && option == 'c';
        path = optarg;
    }
    const char *verb = optind + 2 == argc ? argv[optind] : "";
    bool adopt = strcmp(verb, "adopt") == 0;
    if (!good || path == NULL || (!adopt && strcmp(verb, "rebuild") != 0)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return run(adopt, argv[optind + 1], path);
}
