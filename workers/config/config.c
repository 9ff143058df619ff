/* `oriori config reference|check`: what may stand in a config file, and whether one is right. */
#include "workers/subcommand.h"

#include "common/io/config.h"

#include <stdio.h>

static const char usage[] =
    "usage: oriori config reference\n"
    "       oriori config check FILE\n\n"
    "reference prints every key with its default, as a config file with comments; check reads a file\n"
    "and the environment and says what is wrong with them.\n\n"
    "example: oriori config reference > worker.yaml && oriori config check worker.yaml\n";

static int check(const char *path)
{
    struct config config;
    struct buffer errors = {0};
    bool good = config_load(&config, path, &errors);
    if (good)
        printf("%s: good (application %s, %lld shards)\n", path, config.application_id, (long long)config.shards);
    else
        fputs(errors.data, stderr);
    config_release(&config);
    buffer_release(&errors);
    return good ? EXIT_DONE : EXIT_FAILED;
}

int config_main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    if (argc == 2 && strcmp(argv[1], "reference") == 0) {
        struct buffer text = {0};
        config_reference(&text);
        fputs(text.data, stdout);
        buffer_release(&text);
        return EXIT_DONE;
    }
    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return check(argv[2]);
    fputs(usage, stderr);
    return EXIT_USAGE;
}
