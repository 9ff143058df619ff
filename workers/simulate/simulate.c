#include "workers/simulate/simulate.h"

#include "common/base/check.h"
#include "common/io/data_file.h"
#include "common/io/zone_files.h"
#include "workers/simulate/steps.h"
#include "workers/subcommand.h"

#include <errno.h>
#include <getopt.h>
#include <unistd.h>

enum { OUTPUT_BUFFER_SIZE = 1 << 20, HOT_MIB_MOST = 1 << 20 };

struct arguments {
    struct simulate_options options;
    const char *playbook; /* NULL = the default one */
    const char *config;   /* of the exported run; NULL = none given */
    const char *file;     /* NULL = standard input */
    bool strict;
    bool steps; /* the file is an exported run */
};

static void print_help(FILE *out)
{
    fputs(
        "usage: oriori simulate [OPTION ...] [FILE]\n"
        "\n"
        "Runs the engine over events as JSON lines, in order of arrival, without Kafka or Redis, and prints what\n"
        "happens as JSON lines in time order, with a summary at the end. Without FILE, or with -, it reads\n"
        "standard input. A line is {\"topic\": \"orders\", \"event\": {...}, \"received_at\": ...}.\n"
        "\n"
        "  --playbook FILE  the rules (default: $ORIORI_PLAYBOOK, else the one that ships with the program)\n"
        "  --until TIME     go on to this time, inclusive: UTC ms, or ISO 8601 with an offset\n"
        "  --states         print every customer's state at the end\n"
        "  --decisions      print decisions too\n"
        "  --summary        print only the summary: one line of JSON (`| jq` lays it out)\n"
        "  --strict         exit with 1 when a line was refused\n"
        "  --hot MIB        memory for states kept decoded, of those visited last (default 64; 0: none): more\n"
        "                   speed, the same output\n"
        "  --timing         say on standard error what it cost: processor time, visits, size of a state\n"
        "  --steps          FILE is a run from `oriori topics export`: run its steps again and compare every\n"
        "                   transition, action, decision and state; exit with 1 at the first difference\n"
        "  --config FILE    with --steps: the run's config, where its inputs have mappings or its topics other names\n"
        "  --help           print this\n"
        "\n"
        "Lines that are refused are named on standard error, with number and field, and the run goes on.\n"
        "\n"
        "example:\n"
        "  echo '{\"topic\": \"orders\", \"event\": {\"event_id\": \"e1\", \"customer_id\": \"c1\", \"kind\": "
        "\"PLACED\",\n"
        "    \"order_id\": \"o1\", \"occurred_at\": \"2024-01-31T09:00:00+09:00\"}}' | tr -d '\\n' |\n"
        "    oriori simulate --until 2024-03-01T00:00:00Z --decisions\n",
        out);
}

static bool read_mib(const char *text, size_t *ret_size)
{
    char *end;
    errno = 0;
    long mib = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || mib < 0 || mib > HOT_MIB_MOST)
        return false;
    *ret_size = (size_t)mib << 20;
    return true;
}

/* -1: go on; else the exit status. */
static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option long_options[] = {
        {"playbook", required_argument, NULL, 'p'}, {"until", required_argument, NULL, 'u'},
        {"states", no_argument, NULL, 's'},         {"decisions", no_argument, NULL, 'd'},
        {"summary", no_argument, NULL, 'y'},        {"strict", no_argument, NULL, 't'},
        {"steps", no_argument, NULL, 'e'},          {"timing", no_argument, NULL, 'g'},
        {"hot", required_argument, NULL, 'o'},      {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        switch (option) {
        case 'p':
            arguments->playbook = optarg;
            break;
        case 'u':
            if (!timestamp_read(span_of(optarg), &arguments->options.until)) {
                fprintf(stderr, "oriori simulate: --until: \"%s\" is no time (UTC ms, or ISO 8601 with an offset)\n",
                        optarg);
                return EXIT_USAGE;
            }
            break;
        case 'o':
            if (!read_mib(optarg, &arguments->options.hot_size)) {
                fprintf(stderr, "oriori simulate: --hot: \"%s\" is no number of MiB from 0 to %d\n", optarg,
                        HOT_MIB_MOST);
                return EXIT_USAGE;
            }
            break;
        case 's':
            arguments->options.states = true;
            break;
        case 'd':
            arguments->options.decisions = true;
            break;
        case 'y':
            arguments->options.summary = true;
            break;
        case 't':
            arguments->strict = true;
            break;
        case 'g':
            arguments->options.timing = true;
            break;
        case 'c':
            arguments->config = optarg;
            break;
        case 'e':
            arguments->steps = true;
            break;
        case 'h':
            print_help(stdout);
            return EXIT_DONE;
        default:
            fputs("try `oriori simulate --help`\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (arguments->config && !arguments->steps) {
        fputs("oriori simulate: --config goes with --steps\n", stderr);
        return EXIT_USAGE;
    }
    if (argc - optind > 1) {
        fputs("oriori simulate: one FILE at most\n", stderr);
        return EXIT_USAGE;
    }
    if (optind < argc && strcmp(argv[optind], "-") != 0)
        arguments->file = argv[optind];
    return -1;
}

static struct playbook *load_playbook(const char *named)
{
    struct buffer path = {0}, yaml = {0};
    struct playbook_errors errors = {0};
    struct playbook *playbook = NULL;
    if (named != NULL)
        buffer_add_text(&path, named);
    else if (!data_file_playbook(&path))
        buffer_add_text(&path, "playbook.yaml");
    if (!file_read(path.data, &yaml)) {
        fprintf(stderr, "oriori simulate: %s: %s\n", path.data, strerror(errno));
    } else {
        playbook = playbook_compile(buffer_span(&yaml), path.data, &errors);
        if (playbook == NULL)
            fwrite(errors.text.data, 1, errors.text.size, stderr);
    }
    buffer_release(&errors.text);
    buffer_release(&yaml);
    buffer_release(&path);
    return playbook;
}

static int run(const struct arguments *arguments, const struct playbook *playbook, const struct zones *zones, FILE *in)
{
    static char output_buffer[OUTPUT_BUFFER_SIZE];
    setvbuf(stdout, output_buffer, _IOFBF, sizeof output_buffer);
    if (arguments->steps)
        return steps_run(in, arguments->config, playbook, zones, arguments->options.summary);
    struct simulate_result result = simulate_run(&arguments->options, playbook, zones, in, stdout, stderr);
    if (ferror(in)) {
        fprintf(stderr, "oriori simulate: reading %s failed\n", arguments->file ? arguments->file : "standard input");
        return EXIT_FAILED;
    }
    if (result.output_failed) {
        fputs("oriori simulate: writing the output failed\n", stderr);
        return EXIT_FAILED;
    }
    return arguments->strict && result.dead_letter_count > 0 ? EXIT_FAILED : EXIT_DONE; /* R86 */
}

int simulate_main(int argc, char **argv)
{
    struct arguments arguments = {
        .options = {.until = NEVER, .hot_size = HOT_SIZE_USUAL, .progress = isatty(STDERR_FILENO) != 0}};
    int status = read_arguments(argc, argv, &arguments);
    if (status >= 0)
        return status;
    FILE *in = arguments.file == NULL ? stdin : fopen(arguments.file, "r");
    if (in == NULL) {
        fprintf(stderr, "oriori simulate: %s: %s\n", arguments.file, strerror(errno));
        return EXIT_FAILED;
    }
    const char *zone_folder;
    struct zones *zones = zone_files_load(&zone_folder);
    if (zones == NULL)
        fprintf(stderr, "oriori simulate: no time zones in %s (install tzdata, or set TZDIR)\n", zone_folder);
    struct playbook *playbook = load_playbook(arguments.playbook);
    status = playbook == NULL || zones == NULL ? EXIT_FAILED : run(&arguments, playbook, zones, in);
    playbook_free(playbook);
    zones_free(zones);
    if (in != stdin)
        fclose(in);
    return status;
}
