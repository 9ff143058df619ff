/* `oriori playbook activate|show|list|text`: one playbook in force on all shards, exchanged in one act. */
#include "workers/subcommand.h"

#include "common/base/check.h"
#include "common/flow/playbooks.h"
#include "common/io/clock_wall.h"
#include "common/io/data_file.h"
#include "common/io/kafka_command.h"
#include "common/io/logger.h"
#include "common/io/store_redis.h"
#include "common/io/zones_load.h"
#include "workers/lint/lint.h"
#include "workers/playbook/affected.h"
#include "workers/playbook/published.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: oriori playbook activate FILE|--hash PREFIX --config FILE [--dry-run] [--no-count] [--unless-after N]\n"
    "                               [--of WHAT]\n"
    "       oriori playbook show --config FILE\n"
    "       oriori playbook list --config FILE\n"
    "       oriori playbook text PREFIX --config FILE\n\n"
    "activate checks a playbook (an error of the compiler or of lint refuses it), counts who is affected, and puts it "
    "in\n"
    "force: its text goes to crm.playbook, and one control record to every shard, in one transaction. Each shard "
    "takes\n"
    "it from the next step on, once, and then visits all its customers under it; runs that wait follow their rule's\n"
    "`on_change`. Workers need no restart. Activating what is in force does nothing. show tells where each shard is\n"
    "(as its view in Redis says), list which playbooks there are and when each was activated, text prints one.\n\n"
    "  --config FILE   the worker's config\n"
    "  --hash PREFIX   a playbook that crm.playbook holds already, by the beginning of its hash: the way back\n"
    "  --dry-run       check and count, change nothing\n"
    "  --no-count      do not count: counting reads all of crm.state\n"
    "  --unless-after N  for whoever follows a file, as workers do: nothing if the playbook was put in force after\n"
    "                  activation N already, though another one may be by now. Status 65: the text is refused;\n"
    "                  75: something else was in the way (a server, the config), try again\n"
    "  --of WHAT       application_id/shards/topics.prefix: refused while the config says others\n\n"
    "example: oriori playbook activate my-playbook.yaml --dry-run --config deploy/examples/worker.yaml\n"
    "         oriori playbook show --config deploy/examples/worker.yaml\n";

struct order {
    const char *config_path, *path, *prefix, *of;
    bool dry_run, no_count;
    int64_t unless_after; /* NOT_SAID, or an activation */
};

enum { NOT_SAID = -1 };

/* ---- where the shards are ---- */

struct standing {
    bool known;
    struct meta meta;
};

/* As the view says, which is behind by a batch at most. False, and said: Redis cannot be asked. */
static bool standings_read(struct config *config, struct arena *arena, struct standing *standings)
{
    struct store store = {0};
    struct buffer error = {0};
    bool good = store_redis_open(config, &store, &error) == WORLD_DONE;
    for (int32_t h = 0; good && h < config->shards; h++) {
        struct store_meta view;
        good = store_read_meta(&store, h, arena, &view) == WORLD_DONE;
        standings[h].known = good && !span_empty(view.last) && meta_decode(view.last, arena, &standings[h].meta);
        if (!good)
            buffer_add_text(&error, store_error_text(&store));
    }
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    store_close(&store);
    buffer_release(&error);
    return good;
}

static int show(struct config *config)
{
    struct arena arena;
    int sweeping = 0, behind = 0;
    arena_init(&arena, 0);
    struct standing *standings = ARENA_ARRAY(&arena, struct standing, config->shards);
    bool good = standings_read(config, &arena, standings);
    for (int32_t h = 0; good && h < config->shards; h++) {
        const struct meta *meta = &standings[h].meta;
        char name[PLAYBOOK_SHORT_SIZE];
        if (!standings[h].known) {
            printf("shard %-4d not born, or its view is being rebuilt\n", (int)h);
            behind++;
            continue;
        }
        printf("shard %-4d %s  version %.*s  activation %lld", (int)h, playbook_short(meta->playbook_hash, name),
               (int)meta->playbook_version.size, meta->playbook_version.data, (long long)meta->activation);
        if (meta->sweeping)
            printf("  sweeping, behind \"%.*s\"", (int)meta->swept.size, meta->swept.data);
        putchar('\n');
        sweeping += meta->sweeping;
        behind += standings[0].known &&
                  memcmp(meta->playbook_hash, standings[0].meta.playbook_hash, sizeof(meta->playbook_hash)) != 0;
    }
    if (good)
        printf("%s\n", behind     ? "the shards are not all at one playbook"
                       : sweeping ? "all shards are at one playbook; customers are still visited"
                                  : "all shards and customers are at one playbook");
    arena_release(&arena);
    return good ? EXIT_DONE : EXIT_FAILED;
}

/* ---- what there is ---- */

static void print_activation(const struct playbook_entry *entry)
{
    char name[PLAYBOOK_SHORT_SIZE], at[TIMESTAMP_TEXT_SIZE];
    timestamp_text(entry->activated_at, at);
    printf("activation %-4lld %s  %s  version %.*s\n", (long long)entry->activation, at,
           playbook_short(entry->hash, name), (int)entry->version.size, entry->version.data);
}

static int list(struct config *config)
{
    struct published published;
    bool good = published_read(config, &published);
    for (size_t i = 0; good && i < published.text_count; i++) {
        const struct playbook_entry *entry = &published.texts[i];
        char name[PLAYBOOK_SHORT_SIZE];
        printf("playbook %s  version %.*s  %zu bytes\n", playbook_short(entry->hash, name), (int)entry->version.size,
               entry->version.data, entry->yaml.size);
    }
    for (size_t i = 0; good && i < published.activation_count; i++)
        print_activation(&published.activations[i]);
    if (good && published.activation_count == 0)
        puts("nothing was activated yet: each shard is at the playbook it was born with");
    published_release(&published);
    return good ? EXIT_DONE : EXIT_FAILED;
}

static const struct playbook_entry *find_said(const struct published *published, const char *prefix)
{
    size_t count;
    const struct playbook_entry *entry = published_find(published, prefix, &count);
    if (!entry)
        fprintf(stderr, "oriori: %s playbook's hash begins with \"%s\"; `oriori playbook list` prints them\n",
                count ? "more than one" : "no", prefix);
    return entry;
}

static int text(struct config *config, const char *prefix)
{
    struct published published;
    const struct playbook_entry *entry = published_read(config, &published) ? find_said(&published, prefix) : NULL;
    if (entry)
        fwrite(entry->yaml.data, 1, entry->yaml.size, stdout);
    published_release(&published);
    return entry ? EXIT_DONE : EXIT_FAILED;
}

/* ---- activate ---- */

/* What becomes of an activation; the reason was said. */
enum activated { ACTIVATE_DONE, ACTIVATE_REFUSED, ACTIVATE_AGAIN };

/* What is still to be done for the text. */
enum need {
    NEED_ALL,
    NEED_TEXT, /* in force, but crm.playbook has not got its text */
    NEED_NOTHING,
    NEED_NOTHING_PASSED /* it was in force since (--unless-after), and others are by now */
};

struct activation {
    struct config *config;
    const struct order *order;
    struct published before;    /* the fence: what a text is found in */
    struct published published; /* what is decided by */
    struct buffer file;
    struct span yaml;
    const char *name; /* of the text, for messages */
    struct step_world world;
};

static bool text_take(struct activation *activation)
{
    const struct order *order = activation->order;
    if (order->prefix) {
        const struct playbook_entry *entry = find_said(&activation->before, order->prefix);
        activation->yaml = entry ? entry->yaml : SPAN_NONE;
        activation->name = order->prefix;
        return entry != NULL;
    }
    activation->name = order->path;
    if (!file_read(order->path, &activation->file)) {
        fprintf(stderr, "oriori: cannot read %s: %s\n", order->path, strerror(errno));
        return false;
    }
    activation->yaml = buffer_span(&activation->file);
    return true;
}

/* Errors refuse it, warnings are shown. */
static enum activated text_check(struct activation *activation)
{
    struct playbook_errors errors = {0};
    char no_zones[ZONES_ERROR_SIZE];
    activation->world.playbook = playbook_compile(activation->yaml, activation->name, &errors);
    if (errors.count)
        fputs(errors.text.data, stderr);
    buffer_release(&errors.text);
    if (!activation->world.playbook)
        return ACTIVATE_REFUSED;
    activation->world.zones = zones_load(activation->config->zones, no_zones);
    if (!activation->world.zones) {
        fprintf(stderr, "oriori: %s\n", no_zones);
        return ACTIVATE_AGAIN;
    }
    struct lint lint = {.playbook = activation->world.playbook,
                        .yaml = activation->yaml,
                        .file_name = activation->name,
                        .zones = activation->world.zones,
                        .events = LINT_ALL_EVENTS,
                        .least = LINT_WARNING};
    lint_run(&lint);
    fwrite(lint.text.data ? lint.text.data : "", 1, lint.text.size, stderr);
    bool good = lint.counts[LINT_ERROR] == 0;
    if (!good)
        fprintf(stderr, "oriori: %s: errors %zu: not activated\n", activation->name, lint.counts[LINT_ERROR]);
    lint_release(&lint);
    return good ? ACTIVATE_DONE : ACTIVATE_REFUSED;
}

/* In force is what was activated last, wherever the shards are on their way; before the first activation, what all of
 * them were born with. */
static bool in_force(struct activation *activation, const struct published *published, bool *ret_in_force)
{
    const unsigned char *hash = activation->world.playbook->hash;
    const struct playbook_entry *last = published_last(published);
    struct config *config = activation->config;
    struct arena arena;
    *ret_in_force = last && memcmp(last->hash, hash, sizeof(last->hash)) == 0;
    if (last)
        return true;
    arena_init(&arena, 0);
    struct standing *standings = ARENA_ARRAY(&arena, struct standing, config->shards);
    bool good = standings_read(config, &arena, standings);
    *ret_in_force = good;
    for (int32_t h = 0; good && h < config->shards; h++)
        *ret_in_force = *ret_in_force && standings[h].known &&
                        memcmp(standings[h].meta.playbook_hash, hash, sizeof(standings[h].meta.playbook_hash)) == 0;
    arena_release(&arena);
    return good;
}

static bool entry_produce(struct activation *activation, struct kafka_command *command, struct playbook_entry entry)
{
    const struct playbook *playbook = activation->world.playbook;
    struct buffer value = {0};
    char key[PLAYBOOK_KEY_SIZE];
    memcpy(entry.hash, playbook->hash, sizeof(entry.hash));
    entry.version = playbook->version;
    playbook_entry_key(&entry, key);
    playbook_entry_encode(&entry, &value);
    bool good = kafka_command_produce_keyed(command, config_topic(activation->config, "playbook"), 0, span_of(key),
                                            buffer_span(&value));
    buffer_release(&value);
    return good;
}

static bool controls_produce(struct activation *activation, struct kafka_command *command, int64_t number)
{
    const struct playbook *playbook = activation->world.playbook;
    struct forward forward = {.kind = FORWARD_PLAYBOOK, .playbook_version = playbook->version, .activation = number};
    struct buffer value = {0};
    bool good = true;
    memcpy(forward.playbook_hash, playbook->hash, sizeof(forward.playbook_hash));
    forward_encode(&forward, &value);
    for (int32_t h = 0; h < activation->config->shards && good; h++)
        good = kafka_command_produce(command, config_topic(activation->config, "forward"), h, buffer_span(&value));
    buffer_release(&value);
    return good;
}

/* All of it or nothing. number 0: the text alone, of a playbook that is in force. */
static bool publish(struct activation *activation, struct kafka_command *command, int64_t number, int64_t now)
{
    struct playbook_entry text_entry = {.activated_at = NEVER, .yaml = activation->yaml};
    struct playbook_entry done = {.activation = number, .activated_at = now};
    bool good = kafka_command_begin(command);
    if (!published_text(&activation->published, activation->world.playbook->hash))
        good = good && entry_produce(activation, command, text_entry);
    if (number)
        good = good && entry_produce(activation, command, done) && controls_produce(activation, command, number);
    return good && kafka_command_commit(command);
}

static bool need_of(struct activation *activation, const struct published *published, enum need *ret_need)
{
    const unsigned char *hash = activation->world.playbook->hash;
    const struct playbook_entry *own = published_last_of(published, hash);
    bool already;
    if (!in_force(activation, published, &already))
        return false;
    *ret_need = NEED_ALL;
    if (already)
        *ret_need = published_text(published, hash) ? NEED_NOTHING : NEED_TEXT;
    else if (activation->order->unless_after != NOT_SAID && own && own->activation > activation->order->unless_after)
        *ret_need = NEED_NOTHING_PASSED;
    return true;
}

/* One line that begins with the activation which the text stands for, if any: a worker reads it (playbook_file.c). */
static void say_nothing_to_do(const struct activation *activation, const struct published *published, bool passed)
{
    const struct playbook *playbook = activation->world.playbook;
    const struct playbook_entry *own = published_last_of(published, playbook->hash);
    char name[PLAYBOOK_SHORT_SIZE], last[PLAYBOOK_SHORT_SIZE];
    playbook_short(playbook->hash, name);
    if (own)
        printf("activation %lld: ", (long long)own->activation);
    printf("playbook %s (version %.*s) %s in force: nothing to do\n", name, (int)playbook->version.size,
           playbook->version.data, passed ? "was" : "is");
    if (passed)
        fprintf(stderr,
                "oriori: playbook %s was put in force by activation %lld already, and %s since: a file that comes late "
                "does not take that back. `oriori playbook activate --hash %s` would\n",
                name, (long long)own->activation, playbook_short(published_last(published)->hash, last), name);
}

static enum activated change(struct activation *activation, struct kafka_command *command, enum need need)
{
    const struct playbook *playbook = activation->world.playbook;
    const struct playbook_entry *last = published_last(&activation->published);
    int64_t number = need == NEED_ALL ? (last ? last->activation : 0) + 1 : 0;
    struct clock clock = clock_wall_open();
    char name[PLAYBOOK_SHORT_SIZE];
    if (!publish(activation, command, number, clock_wall(&clock))) {
        fprintf(stderr, "oriori: %s\n", command->error.data);
        return ACTIVATE_AGAIN;
    }
    if (number)
        printf("activation %lld: playbook %s (version %.*s) on all %lld shards; `oriori playbook show` tells how far "
               "they are\n",
               (long long)number, playbook_short(playbook->hash, name), (int)playbook->version.size,
               playbook->version.data, (long long)activation->config->shards);
    else
        say_nothing_to_do(activation, &activation->published, false);
    return ACTIVATE_DONE;
}

/* The fence: of two activations at once the later one ends the earlier, before it reads what it decides by. So of many
 * that want the same only one finds that it is not done yet. */
static enum activated decide_and_change(struct activation *activation)
{
    struct kafka_command command = {0};
    enum need need;
    enum activated outcome = ACTIVATE_AGAIN;
    if (!kafka_command_open(&command, activation->config))
        fprintf(stderr, "oriori: %s\n", command.error.data);
    else if (published_read(activation->config, &activation->published) &&
             need_of(activation, &activation->published, &need)) {
        outcome = ACTIVATE_DONE;
        if (need == NEED_ALL || need == NEED_TEXT)
            outcome = change(activation, &command, need);
        else
            say_nothing_to_do(activation, &activation->published, need == NEED_NOTHING_PASSED);
    }
    kafka_command_close(&command);
    return outcome;
}

/* All that takes long, or needs no change, comes before the fence: it would end somebody else's activation. */
static enum activated activate_steps(struct activation *activation)
{
    const struct order *order = activation->order;
    struct clock clock = clock_wall_open();
    enum need need;
    if (!published_read(activation->config, &activation->before))
        return ACTIVATE_AGAIN;
    if (!text_take(activation))
        return order->prefix ? ACTIVATE_REFUSED : ACTIVATE_AGAIN; /* a file may be just being replaced */
    enum activated checked = text_check(activation);
    if (checked != ACTIVATE_DONE)
        return checked;
    if (!need_of(activation, &activation->before, &need))
        return ACTIVATE_AGAIN;
    if (need == NEED_NOTHING || need == NEED_NOTHING_PASSED)
        say_nothing_to_do(activation, &activation->before, need == NEED_NOTHING_PASSED);
    else if (need == NEED_ALL && !order->no_count &&
             !affected_print(activation->config, &activation->world, clock_wall(&clock)))
        return ACTIVATE_AGAIN;
    if (order->dry_run)
        puts("dry run: nothing was changed");
    if (order->dry_run || need == NEED_NOTHING || need == NEED_NOTHING_PASSED)
        return ACTIVATE_DONE;
    return decide_and_change(activation);
}

/* A worker wants to know why, for it tries again what was not the text's fault. */
static int failed(const struct order *order, int why)
{
    return order->unless_after == NOT_SAID ? EXIT_FAILED : why;
}

/* A config may be changed while a worker runs on what it read at its start. */
static bool is_of_another(struct config *config, const struct order *order)
{
    const char *application = config_application(config);
    if (order->of == NULL || strcmp(order->of, application) == 0)
        return false;
    fprintf(stderr, "oriori: the config says %s now (application_id/shards/topics.prefix), not %s: not activated\n",
            application, order->of);
    return true;
}

static int activate(struct config *config, const struct order *order)
{
    struct activation activation = {.config = config, .order = order};
    enum activated outcome = activate_steps(&activation);
    playbook_free((struct playbook *)activation.world.playbook);
    zones_free((struct zones *)activation.world.zones);
    buffer_release(&activation.file);
    published_release(&activation.before);
    published_release(&activation.published);
    if (outcome == ACTIVATE_DONE)
        return EXIT_DONE;
    return failed(order, outcome == ACTIVATE_REFUSED ? EXIT_REFUSED : EXIT_AGAIN);
}

/* ---- the command ---- */

static int run(const char *verb, const char *word, struct order *order)
{
    struct config config;
    struct buffer errors = {0};
    int status = EXIT_FAILED;
    order->path = word;
    if (!config_load(&config, order->config_path, &errors)) {
        fputs(errors.data, stderr);
        status = failed(order, EXIT_AGAIN);
    } else {
        /* A worker puts what is said here into lines of its own: no JSON within its JSON. */
        logger_init(config.level, order->unless_after == NOT_SAID ? config.format : CONFIG_FORMAT_TEXT);
        if (strcmp(verb, "activate") == 0)
            status = is_of_another(&config, order) ? failed(order, EXIT_AGAIN) : activate(&config, order);
        else if (strcmp(verb, "show") == 0)
            status = show(&config);
        else
            status = strcmp(verb, "list") == 0 ? list(&config) : text(&config, word);
    }
    buffer_release(&errors);
    config_release(&config);
    return status;
}

/* How many words the verb wants behind it; -1 = no such verb. */
static int words_of(const char *verb, const struct order *order)
{
    if (strcmp(verb, "activate") == 0)
        return order->prefix ? 0 : 1;
    if (strcmp(verb, "text") == 0)
        return 1;
    return strcmp(verb, "show") == 0 || strcmp(verb, "list") == 0 ? 0 : -1;
}

static bool number_read(const char *text, int64_t *ret_number)
{
    char *end;
    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *ret_number >= 0;
}

int playbook_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"hash", required_argument, NULL, 'H'},
        {"dry-run", no_argument, NULL, 'd'},      {"no-count", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},         {"unless-after", required_argument, NULL, 'u'},
        {"of", required_argument, NULL, 'o'},     {NULL, 0, NULL, 0}};
    struct order order = {.unless_after = NOT_SAID};
    bool good = true;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option == 'c')
            order.config_path = optarg;
        if (option == 'H')
            order.prefix = optarg;
        if (option == 'o')
            order.of = optarg;
        order.dry_run = order.dry_run || option == 'd';
        order.no_count = order.no_count || option == 'n';
        if (option == 'u')
            good = good && number_read(optarg, &order.unless_after);
        good = good && option != '?';
    }
    const char *verb = optind < argc ? argv[optind] : "";
    if (argc == 1) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    bool told = good && words_of(verb, &order) >= 0 && optind + 1 + words_of(verb, &order) == argc;
    if (!told || order.config_path == NULL) {
        fprintf(stderr, "oriori playbook: expected %s; `oriori playbook --help` says more\n",
                told ? "--config FILE, the worker's config" : "activate FILE, show, list or text PREFIX");
        return EXIT_USAGE;
    }
    return run(verb, optind + 1 < argc ? argv[optind + 1] : NULL, &order);
}
