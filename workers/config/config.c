/* `oriori config reference|check|show`: what may stand in a config file, whether one is right, what is in force. */
#include "workers/subcommand.h"

#include "common/io/config.h"

#include <stdio.h>

static const char usage[] =
    "usage: oriori config reference\n"
    "       oriori config check FILE\n"
    "       oriori config show FILE\n\n"
    "reference prints every key with its default, as a config file with comments; check reads a file\n"
    "and the environment and says what is wrong with them; show prints what is in force after file,\n"
    "environment and defaults, secrets masked.\n\n"
    "example: oriori config reference > worker.yaml && oriori config check worker.yaml\n";

/* show: the values; else one line. */
static int check(const char *path, bool show)
{
    struct config config;
    struct buffer errors = {0};
    bool good = config_load(&config, path, &errors);
    struct buffer text = {0}, doubts = {0};
    config_environment_doubts(&doubts);
    fputs(doubts.data ? doubts.data : "", stderr);
    buffer_release(&doubts);
    if (good && show)
        config_show(&config, &text);
    if (good && show)
        fputs(text.data, stdout);
    else if (good)
        printf("%s: good (application %s, %lld shards)\n", path, config.application_id, (long long)config.shards);
    else
        fputs(errors.data, stderr);
    buffer_release(&text);
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
    if (argc == 3 && (strcmp(argv[1], "check") == 0 || strcmp(argv[1], "show") == 0))
        return check(argv[2], argv[1][0] == 's');
    fputs(usage, stderr);
    return EXIT_USAGE;
}
