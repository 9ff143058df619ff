/* `oriori SUBCOMMAND ...`: finds the row, calls it. All else that happens here is that no core dump will. */
#include "workers/subcommand.h"

#include "common/base/check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

struct subcommand {
    const char *name;
    const char *line; /* for `oriori help` */
    int (*main)(int argc, char **argv);
};

static int help_main(int argc, char **argv);

/* The build defines ORIORI_HAS_X when workers/<any folder>/x.c is there, so a row may stand here before its code. */
static const struct subcommand subcommands[] = {
#ifdef ORIORI_HAS_WORKER
    {"worker", "run the lifecycle worker: events in, transitions and actions out", worker_main},
#endif
#ifdef ORIORI_HAS_TOPICS
    {"topics", "create, check or export the Kafka topics", topics_main},
#endif
#ifdef ORIORI_HAS_PRODUCE
    {"produce", "write events from JSON lines to a topic", produce_main},
#endif
#ifdef ORIORI_HAS_CONSUME
    {"consume", "print a topic's records, read committed", consume_main},
#endif
#ifdef ORIORI_HAS_SIMULATE
    {"simulate", "run the engine over JSON lines, without Kafka or Redis", simulate_main},
#endif
#ifdef ORIORI_HAS_LINT
    {"lint", "find holes, overlaps and dead rules in a playbook", lint_main},
#endif
#ifdef ORIORI_HAS_REPORT
    {"report", "which rules reach their goals, beside those held out", report_main},
#endif
#ifdef ORIORI_HAS_CUSTOMER
    {"customer", "show what is known of one customer", customer_main},
#endif
#ifdef ORIORI_HAS_CONFIG
    {"config", "print the config's keys, or check a config file", config_main},
#endif
#ifdef ORIORI_HAS_MAP
    {"map", "try a mapping of a platform's own messages", map_main},
#endif
#ifdef ORIORI_HAS_DLQ
    {"dlq", "look into the dead letters, redrive or drop them", dlq_main},
#endif
#ifdef ORIORI_HAS_DEMO
    {"demo", "play events through the worker in simulated time", demo_main},
#endif
#ifdef ORIORI_HAS_SCHEMA
    {"schema", "compare the schemas with another release's or a registry's", schema_main},
#endif
#ifdef ORIORI_HAS_SHARD
    {"shard", "restore a shard's offsets, or rebuild its view", shard_main},
#endif
#ifdef ORIORI_HAS_PLAYBOOK
    {"playbook", "put another playbook in force, on all shards", playbook_main},
#endif
#ifdef ORIORI_HAS_PAUSE
    {"pause", "hold a rule, or all marketing", pause_main},
    {"resume", "let a held rule, or all marketing, run again", resume_main},
#endif
    {"version", "print the version of oriori and of its libraries", version_main},
    {"help", "print this, or a subcommand's help", help_main},
};

static const struct subcommand *subcommand_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(subcommands); i++)
        if (strcmp(subcommands[i].name, name) == 0)
            return &subcommands[i];
    return NULL;
}

static void print_usage(FILE *out)
{
    fputs("usage: oriori SUBCOMMAND [OPTION ...]\n\n", out);
    for (size_t i = 0; i < COUNT_OF(subcommands); i++)
        fprintf(out, "  %-10s %s\n", subcommands[i].name, subcommands[i].line);
    fputs("\n`oriori SUBCOMMAND --help` says more, with an example.\n", out);
}

static int subcommand_run(const char *name, int argc, char **argv)
{
    const struct subcommand *subcommand = subcommand_find(name);
    if (subcommand == NULL) {
        fprintf(stderr, "oriori: no subcommand \"%s\"\n\n", name);
        print_usage(stderr);
        return EXIT_USAGE;
    }
    return subcommand->main(argc, argv);
}

static int help_main(int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-' || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    char help[] = "--help";
    char *arguments[] = {argv[1], help, NULL};
    return subcommand_run(argv[1], 2, arguments);
}

/* A dump would hold passwords and customers. The limit alone does not hold back a kernel that pipes dumps to a program.
 */
static void forbid_core_dumps(void)
{
    const char *wanted = getenv("ORIORI_CORE_DUMPS");
    if (wanted && strcmp(wanted, "true") == 0)
        return;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0);
}

int main(int argc, char **argv)
{
    forbid_core_dumps();
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help_main(1, argv);
    if (strcmp(argv[1], "--version") == 0)
        return subcommand_run("version", 1, argv + 1);
    return subcommand_run(argv[1], argc - 1, argv + 1);
}
