/* One table says everything about a key; loading, the environment, the reference text and the messages are loops over
 * it. The file is flattened first: `redis: {url: x}` and `redis.url: x` are the same key. */
#define _GNU_SOURCE /* environ */
#include "common/io/config.h"

#include "common/base/check.h"
#include "common/base/timestamp.h"
#include "common/io/http.h"

#include <ctype.h>
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include <yaml.h>

enum key_type {
    KEY_TEXT,
    KEY_SECRET,
    KEY_PATH,
    KEY_PATHS,
    KEY_INTEGER,
    KEY_BOOLEAN,
    KEY_CHOICE,
    KEY_DURATION,
    KEY_SIZE
};

struct key {
    const char *name;
    enum key_type type;
    size_t offset; /* of the field in struct config */
    const char *initial;
    const char *choices; /* KEY_CHOICE: the words in the order of the enum */
    int64_t min, max;    /* KEY_INTEGER, KEY_DURATION, KEY_SIZE */
    const char *text;    /* for people; lines are wrapped by config_reference */
};

#define AT(field) offsetof(struct config, field)

static const struct key keys[] = {
    {"application_id", KEY_TEXT, AT(application_id), "oriori", NULL, 0, 0,
     "Names this application: the group, the transactional ids and the Redis view carry it. Never change it later."},
    {"shards", KEY_INTEGER, AT(shards), "16", NULL, 1, 1024,
     "S: partitions of the internal topics and the most workers that can share the load. Fixed for life."},
    {"demo", KEY_BOOLEAN, AT(demo), "false", NULL, 0, 0, "Allows what only a demonstration may do (clock: input)."},
    {"log", KEY_CHOICE, AT(log), "kafka", "kafka memory", 0, 0,
     "What carries the topics: Kafka, or the embedded log of one process (its topics are JSON lines in log_folder)."},
    {"log_folder", KEY_PATH, AT(log_folder), "", NULL, 0, 0, "With log: memory, the folder of the topics' files."},
    {"clock", KEY_CHOICE, AT(clock), "wall", "wall input", 0, 0,
     "wall: the machine's clock. input: the clock follows tick records in the input; only with demo: true."},
    {"start", KEY_TEXT, AT(start), "earliest", NULL, 0, 0,
     "Where a new shard begins to read its inputs: earliest, latest, or a time such as 2024-01-31T00:00:00Z."},
    {"playbook", KEY_PATH, AT(playbook), "", NULL, 0, 0,
     "The playbook file (thresholds, tables, rules) that a new cluster begins with; `oriori playbook activate` puts "
     "another one in force. Paths are relative to the config file."},
    {"playbook_watch", KEY_BOOLEAN, AT(playbook_watch), "false", NULL, 0, 0,
     "Whether the worker looks at that file every few seconds. Once its text has changed, the worker does what `oriori "
     "playbook activate` does: checks it, and puts it in force on all shards, once, whoever else sees it too. SIGHUP "
     "makes it look at once, with this key or without. At the start a file that is not in force only warns, and "
     "one that is broken is an error in the log: shards go on with what is in force."},
    {"schemas", KEY_PATH, AT(schemas), "", NULL, 0, 0, "The folder of the Avro schemas (*.avsc)."},
    {"zones", KEY_PATH, AT(zones), "/usr/share/zoneinfo", NULL, 0, 0, "The system's time zone database."},
    {"decisions", KEY_CHOICE, AT(decisions), "sent-and-blocked", "off sent-and-blocked all", 0, 0,
     "Which decisions are published: none, those that sent or that a guard stopped, or all. Runs of imported history "
     "(outcome `backfill`) are only among all."},
    {"actions", KEY_CHOICE, AT(actions), "live", "live shadow", 0, 0,
     "shadow: everything runs, but actions are written to crm.actions.shadow, which no mailer reads: for the first "
     "days "
     "beside an old system. The state knows them as sent: going live later sends none of them again."},
    {"sends_per_second", KEY_INTEGER, AT(sends_per_second), "0", NULL, 0, 1000000,
     "At most so many sends per second and shard (shards x this for all workers together), so that a storm does not "
     "flood the mailer: what is above waits, timers and inputs alike, and is decided when its turn comes. 0 = no cap."},
    {"actions_format", KEY_CHOICE, AT(actions_format), "avro", "avro json", 0, 0,
     "What the values of crm.actions (and its shadow) are: Avro in Confluent's wire format, or JSON with the same "
     "fields."},
    {"group_id", KEY_TEXT, AT(group_id), "", NULL, 0, 0, "The consumer group; empty = application_id."},
    {"instance_id", KEY_TEXT, AT(instance_id), "", NULL, 0, 0,
     "Static membership (group.instance.id): only where a worker comes back under the same name. Empty = dynamic."},
    {"transactional_id", KEY_TEXT, AT(transactional_id), "", NULL, 0, 0,
     "Must differ between workers that run at once and be the same after a restart; empty = application_id-hostname."},

    {"topics.prefix", KEY_TEXT, AT(topic_prefix), "crm.", NULL, 0, 0, "Stands before every topic's name."},
    {"topics.orders", KEY_TEXT, AT(topic_inputs[TOPIC_ORDERS]), "", NULL, 0, 0,
     "The input's full name, where it is not prefix + orders; likewise the four below."},
    {"topics.deliveries", KEY_TEXT, AT(topic_inputs[TOPIC_DELIVERIES]), "", NULL, 0, 0, ""},
    {"topics.surveys", KEY_TEXT, AT(topic_inputs[TOPIC_SURVEYS]), "", NULL, 0, 0, ""},
    {"topics.email_opens", KEY_TEXT, AT(topic_inputs[TOPIC_EMAIL_OPENS]), "", NULL, 0, 0, ""},
    {"topics.customers", KEY_TEXT, AT(topic_inputs[TOPIC_CUSTOMERS]), "", NULL, 0, 0, ""},
    {"topics.partitions", KEY_INTEGER, AT(topic_partitions), "0", NULL, 0, 10000,
     "Partitions of the inputs and outputs that `oriori topics create` makes; 0 = shards, which is the fast choice."},
    {"topics.replication", KEY_INTEGER, AT(topic_replication), "-1", NULL, -1, 100,
     "Replicas of topics that are made; -1 = the broker's default."},
    {"topics.message_bytes_max", KEY_SIZE, AT(topic_message_bytes_max), "1MiB", NULL, 1024, INT32_MAX - 65536,
     "The largest record of an input; the internal topics allow 64 KiB more."},
    {"topics.retention", KEY_DURATION, AT(topic_retention_ms), "30d", NULL, -1, INT64_MAX,
     "How long inputs, outputs and crm.steps are kept by topics that are made; -1 = for ever."},
    {"topics.forward_keep", KEY_DURATION, AT(topic_forward_keep_ms), "7d", NULL, 0, INT64_MAX,
     "How long the worker keeps what it has consumed of crm.forward (`simulate --steps` needs it); 0 = for ever."},

    {"formats.orders", KEY_CHOICE, AT(input_forms[TOPIC_ORDERS]), "avro", "avro json auto", 0, 0,
     "What the records of the input are: Avro in Confluent's wire format, JSON (an object with the fields of our own "
     "schema, or what mappings.orders reads), or whichever the first byte says; likewise the four below."},
    {"formats.deliveries", KEY_CHOICE, AT(input_forms[TOPIC_DELIVERIES]), "avro", "avro json auto", 0, 0, ""},
    {"formats.surveys", KEY_CHOICE, AT(input_forms[TOPIC_SURVEYS]), "avro", "avro json auto", 0, 0, ""},
    {"formats.email_opens", KEY_CHOICE, AT(input_forms[TOPIC_EMAIL_OPENS]), "avro", "avro json auto", 0, 0, ""},
    {"formats.customers", KEY_CHOICE, AT(input_forms[TOPIC_CUSTOMERS]), "avro", "avro json auto", 0, 0, ""},

    {"mappings.orders", KEY_PATHS, AT(input_mappings[TOPIC_ORDERS]), "", NULL, 0, 0,
     "Mappings for the input's JSON, with blanks between: files, or names of shipped ones (shopify eccube). The first "
     "that takes a message reads it; what none takes is JSON of our own schema; likewise the four below."},
    {"mappings.deliveries", KEY_PATHS, AT(input_mappings[TOPIC_DELIVERIES]), "", NULL, 0, 0, ""},
    {"mappings.surveys", KEY_PATHS, AT(input_mappings[TOPIC_SURVEYS]), "", NULL, 0, 0, ""},
    {"mappings.email_opens", KEY_PATHS, AT(input_mappings[TOPIC_EMAIL_OPENS]), "", NULL, 0, 0, ""},
    {"mappings.customers", KEY_PATHS, AT(input_mappings[TOPIC_CUSTOMERS]), "", NULL, 0, 0, ""},

    {"registry.url", KEY_TEXT, AT(registry_url), "none", NULL, 0, 0,
     "none: schemas are the files of `schemas`, with the fixed ids of its ids.json. Or the addresses of a schema "
     "registry (Confluent's API), with blanks between: the next is tried when one does not answer. Then every id in an "
     "input is the registry's; while it is away nothing is consumed and nothing is lost."},
    {"registry.outputs", KEY_CHOICE, AT(registry_outputs), "register", "register local", 0, 0,
     "With a registry, the ids in what is written. register: those that the registry gives to our schemas, under the "
     "subject TOPIC-value. local: the fixed ones of ids.json."},
    {"registry.user", KEY_TEXT, AT(registry_user), "", NULL, 0, 0, "HTTP basic auth; empty = none."},
    {"registry.password", KEY_SECRET, AT(registry_password), "", NULL, 0, 0,
     "Better as registry.password_file, the path of a file that holds it; likewise registry.token."},
    {"registry.token", KEY_SECRET, AT(registry_token), "", NULL, 0, 0, "A bearer token, instead of a user."},
    {"registry.ca", KEY_PATH, AT(registry_ca), "", NULL, 0, 0,
     "https: a file of certificates (PEM) to trust instead of the system's."},
    {"registry.timeout", KEY_DURATION, AT(registry_timeout_ms), "2s", NULL, 10, 10000,
     "Longest wait for one answer of one address; for so long the worker does nothing else."},

    {"oauth.token_file", KEY_PATH, AT(oauth_token_file), "", NULL, 0, 0,
     "With kafka.sasl.mechanisms: OAUTHBEARER, a file that holds a JWT and is kept fresh by somebody else, such as a "
     "projected service account token; it is read again before the token ends."},
    {"oauth.url", KEY_TEXT, AT(oauth_url), "", NULL, 0, 0,
     "Instead of a file: the token endpoint, asked for a JWT by client credentials (RFC 6749, 4.4)."},
    {"oauth.client_id", KEY_TEXT, AT(oauth_client_id), "", NULL, 0, 0, "Who we are there."},
    {"oauth.client_secret", KEY_SECRET, AT(oauth_client_secret), "", NULL, 0, 0,
     "Better as oauth.client_secret_file, the path of a file that holds it."},
    {"oauth.scope", KEY_TEXT, AT(oauth_scope), "", NULL, 0, 0, "What to ask for; empty = what the endpoint gives."},
    {"oauth.ca", KEY_PATH, AT(oauth_ca), "", NULL, 0, 0,
     "https: a file of certificates (PEM) to trust instead of the system's."},
    {"oauth.timeout", KEY_DURATION, AT(oauth_timeout_ms), "5s", NULL, 10, 60000, "Longest wait for a token."},

    {"redis.url", KEY_TEXT, AT(redis_url), "redis://127.0.0.1:6379", NULL, 0, 0,
     "redis://[user[:password]@]host[:port][/database], unix:/path/to/socket, "
     "redis-sentinel://sentinel[:port],sentinel[:port]/name-of-the-master[/database], or "
     "redis-cluster://node[:port],node[:port]. rediss://, rediss-sentinel:// and rediss-cluster:// are the same over "
     "TLS "
     "(where hiredis_ssl was there when this was built: `oriori version`)."},
    {"redis.user", KEY_TEXT, AT(redis_user), "", NULL, 0, 0, "ACL user; empty = the default user."},
    {"redis.password", KEY_SECRET, AT(redis_password), "", NULL, 0, 0,
     "Better as redis.password_file, the path of a file that holds it."},
    {"redis.sentinel_user", KEY_TEXT, AT(redis_sentinel_user), "", NULL, 0, 0, "ACL user at the sentinels."},
    {"redis.sentinel_password", KEY_SECRET, AT(redis_sentinel_password), "", NULL, 0, 0,
     "What the sentinels want; empty = nothing. Better as redis.sentinel_password_file."},
    {"redis.tls_ca", KEY_PATH, AT(redis_tls_ca), "", NULL, 0, 0,
     "Who may have signed the servers' certificates (PEM); empty = whom the system trusts."},
    {"redis.tls_certificate", KEY_PATH, AT(redis_tls_certificate), "", NULL, 0, 0,
     "Our own certificate (PEM), where the servers want one; with redis.tls_key."},
    {"redis.tls_key", KEY_PATH, AT(redis_tls_key), "", NULL, 0, 0, "Its private key (PEM)."},
    {"redis.timeout", KEY_DURATION, AT(redis_timeout_ms), "2s", NULL, 10, 600000, "Longest wait for one answer."},
    {"redis.history", KEY_INTEGER, AT(redis_history), "20", NULL, 0, 1000,
     "How many of a customer's newest published decisions (`decisions`) lie beside his state, for "
     "`oriori customer show --decisions`: about 115 bytes of Redis each; 0 = none. Wants crm.decisions with as many "
     "partitions as there are shards. A larger figure counts for what is decided from then on; `oriori shard rebuild` "
     "fetches what the topic still has."},

    {"batch.records", KEY_INTEGER, AT(batch_records), "5000", NULL, 1, 100000, "A batch ends at so many records,"},
    {"batch.bytes", KEY_SIZE, AT(batch_bytes), "4MiB", NULL, 1024, 1 << 30, "or so many bytes of records,"},
    {"batch.wait", KEY_DURATION, AT(batch_wait_ms), "25ms", NULL, 1, 10000, "or so long after its first record."},
    {"batch.timers", KEY_INTEGER, AT(batch_timers), "1000", NULL, 1, 100000,
     "Customers visited for due timers per shard and batch."},

    {"timeouts.transaction", KEY_DURATION, AT(timeout_transaction_ms), "10s", NULL, 1000, 900000,
     "Kafka aborts a transaction that is open so long."},
    {"timeouts.request", KEY_DURATION, AT(timeout_request_ms), "5s", NULL, 100, 600000,
     "One question to Kafka outside of a transaction."},
    {"timeouts.progress", KEY_DURATION, AT(timeout_progress_ms), "2m", NULL, 1000, 86400000,
     "The worker exits when nothing was committed or recovered for so long although there is work and Kafka and Redis "
     "answer: whoever runs it starts it again. Keep it well above timeouts.request and redis.timeout."},

    {"monitor.listen", KEY_TEXT, AT(monitor_listen), "", NULL, 0, 0,
     "host:port that serves /metrics, /healthz, /readyz, /startupz, /playbook and /loglevel over HTTP, such as "
     "127.0.0.1:9464; empty = none. `PUT /loglevel?level=debug` changes the level, from this machine only."},

    {"tracing.endpoint", KEY_TEXT, AT(tracing_endpoint), "", NULL, 0, 0,
     "Where spans go: the OTLP/HTTP address of an OpenTelemetry collector, such as http://127.0.0.1:4318/v1/traces; "
     "empty = nowhere. An action's header traceparent goes on with its cause's trace either way."},
    {"tracing.headers", KEY_SECRET, AT(tracing_headers), "", NULL, 0, 0,
     "What a hosted collector wants beside it, one header a line, such as Authorization: Bearer TOKEN. Better as "
     "tracing.headers_file, the path of a file that holds them."},
    {"tracing.ca", KEY_PATH, AT(tracing_ca), "", NULL, 0, 0,
     "Who may have signed the collector's certificate (PEM); empty = whom the system trusts."},
    {"tracing.sample_percent", KEY_INTEGER, AT(tracing_sample_percent), "100", NULL, 0, 100,
     "Of the traces that their callers sampled, so many get spans of ours, chosen by the trace's id."},

    {"logging.level", KEY_CHOICE, AT(level), "info", "debug info warn error", 0, 0,
     "Lines below it are dropped. The one key that can be changed while the worker runs (see monitor.listen); every "
     "other one, and every property of librdkafka, needs a restart."},
    {"logging.format", KEY_CHOICE, AT(format), "auto", "auto json text", 0, 0,
     "auto: plain text on a terminal, else one JSON object a line."},
};

/* librdkafka properties that carry the promises (DESIGN 5): the worker alone decides them. */
static const struct {
    const char *name;
    const char *instead;
} reserved[] = {
    {"group.id", "use group_id"},
    {"group.instance.id", "use instance_id"},
    {"transactional.id", "use transactional_id"},
    {"transaction.timeout.ms", "use timeouts.transaction"},
    {"auto.offset.reset", "use start"},
    {"isolation.level", "always read_committed"},
    {"enable.auto.commit", "always false"},
    {"enable.auto.offset.store", "always false"},
    {"enable.partition.eof", "always true"},
    {"enable.idempotence", "always true"},
    {"partition.assignment.strategy", "always range, which keeps the inputs of a shard together"},
    {"partitioner", "always murmur2_random, Java's"},
};

enum { KEY_COUNT = COUNT_OF(keys), DEPTH_MAX = 8, NAME_MAX_SIZE = 128, FILE_BYTES_MAX = 1 << 20 };

struct loader {
    struct config *config;
    struct buffer *errors;
    const char *path;       /* of the config file, or NULL */
    const char *folder;     /* "" or "dir/": what relative paths of the file are relative to */
    size_t line;            /* of the value in hand; 0 = from the environment */
    size_t seen[KEY_COUNT]; /* line on which the file gives the key; 0 = not, or the environment overrides it */
    size_t error_count;
};

/* ---- messages ---- */

__attribute__((format(printf, 3, 4))) static void fail(struct loader *loader, const char *key, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (loader->line)
        buffer_format(loader->errors, "%s:%zu: %s: %s\n", loader->path, loader->line, key, text);
    else if (key[0])
        buffer_format(loader->errors, "environment: %s: %s\n", key, text);
    else
        buffer_format(loader->errors, "%s: %s\n", loader->path ? loader->path : "config", text);
    loader->error_count++;
}

/* Edits to make b from a. Names are short, so the table stays on the stack. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_SIZE + 1];
    size_t size = strlen(b);
    if (size > NAME_MAX_SIZE || strlen(a) > NAME_MAX_SIZE)
        return SIZE_MAX;
    for (size_t j = 0; j <= size; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= size; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[size];
}

static const char *nearest_key(const char *name)
{
    const char *nearest = keys[0].name;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        size_t distance = edit_distance(name, keys[i].name);
        if (distance < best) {
            best = distance;
            nearest = keys[i].name;
        }
    }
    return nearest;
}

/* ---- values ---- */

static const char *keep(struct loader *loader, const char *text)
{
    return arena_copy(&loader->config->arena, span_of(text)).data;
}

/* A number and one of the units; without a unit the number is in the base unit. */
static bool parse_scaled(const char *text, const char *const *units, const int64_t *scales, int64_t *ret_value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || errno || isspace((unsigned char)text[0]))
        return false;
    for (size_t i = 0; units[i]; i++)
        if (strcmp(end, units[i]) == 0)
            return !__builtin_mul_overflow((int64_t)number, scales[i], ret_value);
    return false;
}

static const char *const no_units[] = {"", NULL};
static const int64_t no_scales[] = {1};
static const char *const time_units[] = {"", "ms", "s", "m", "h", "d", NULL};
static const int64_t time_scales[] = {1, 1, SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS};
static const char *const size_units[] = {"", "KiB", "MiB", "GiB", NULL};
static const int64_t size_scales[] = {1, 1 << 10, 1 << 20, 1 << 30};

static void set_number(struct loader *loader, const struct key *key, const char *name, const char *text)
{
    int64_t value;
    bool good = key->type == KEY_DURATION ? parse_scaled(text, time_units, time_scales, &value)
                : key->type == KEY_SIZE   ? parse_scaled(text, size_units, size_scales, &value)
                                          : parse_scaled(text, no_units, no_scales, &value);
    const char *expected = key->type == KEY_DURATION ? "a duration like 500ms, 10s, 2m, 7d"
                           : key->type == KEY_SIZE   ? "a size like 4MiB or 65536"
                                                     : "a whole number";
    if (!good)
        fail(loader, name, "expected %s, found \"%s\"", expected, text);
    else if (value < key->min || value > key->max)
        fail(loader, name, "%s is outside %lld .. %lld%s", text, (long long)key->min, (long long)key->max,
             key->type == KEY_DURATION ? " ms" : "");
    else
        *(int64_t *)((char *)loader->config + key->offset) = value;
}

static void set_boolean(struct loader *loader, const struct key *key, const char *name, const char *text)
{
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        fail(loader, name, "expected true or false, found \"%s\"", text);
    else
        *(bool *)((char *)loader->config + key->offset) = yes;
}

static void set_choice(struct loader *loader, const struct key *key, const char *name, const char *text)
{
    int index = 0;
    for (const char *word = key->choices; *word; index++) {
        size_t size = strcspn(word, " ");
        if (strlen(text) == size && strncmp(word, text, size) == 0) {
            *(int *)((char *)loader->config + key->offset) = index; /* an enum: as wide as int */
            return;
        }
        word += size + (word[size] == ' ');
    }
    fail(loader, name, "expected one of %s, found \"%s\"", key->choices, text);
}

/* A path of the file is relative to the file, one of the environment to where the program runs. */
static const char *resolve_path(struct loader *loader, const char *text)
{
    if (text[0] == '\0' || text[0] == '/' || loader->line == 0)
        return keep(loader, text);
    struct buffer path = {0};
    buffer_format(&path, "%s%s", loader->folder, text);
    const char *kept = keep(loader, path.data);
    buffer_release(&path);
    return kept;
}

/* Words with blanks between; those that are files (a slash, or .yaml) are resolved, others are names. */
static const char *resolve_paths(struct loader *loader, const char *text)
{
    struct buffer paths = {0};
    while (*(text += strspn(text, " "))) {
        size_t size = strcspn(text, " ");
        char *word = strndup(text, size);
        CHECK(word);
        bool path = strchr(word, '/') != NULL || (size > 5 && strcmp(word + size - 5, ".yaml") == 0);
        buffer_format(&paths, "%s%s", paths.size ? " " : "", path ? resolve_path(loader, word) : word);
        free(word);
        text += size;
    }
    const char *kept = keep(loader, paths.data ? paths.data : "");
    buffer_release(&paths);
    return kept;
}

static void set_value(struct loader *loader, const struct key *key, const char *name, const char *text)
{
    const char **field = (const char **)((char *)loader->config + key->offset);
    switch (key->type) {
    case KEY_TEXT:
    case KEY_SECRET:
        *field = keep(loader, text);
        break;
    case KEY_PATH:
        *field = resolve_path(loader, text);
        break;
    case KEY_PATHS:
        *field = resolve_paths(loader, text);
        break;
    case KEY_INTEGER:
    case KEY_DURATION:
    case KEY_SIZE:
        set_number(loader, key, name, text);
        break;
    case KEY_BOOLEAN:
        set_boolean(loader, key, name, text);
        break;
    case KEY_CHOICE:
        set_choice(loader, key, name, text);
        break;
    }
}

static bool read_file(const char *path, struct buffer *ret_text)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    char portion[4096];
    size_t size;
    while ((size = fread(portion, 1, sizeof(portion), file)) > 0 && ret_text->size < FILE_BYTES_MAX)
        buffer_add(ret_text, portion, size);
    bool good = !ferror(file) && size == 0;
    if (!good && errno == 0)
        errno = EFBIG;
    fclose(file);
    return good;
}

/* A secret's file may end in one newline, as editors leave it. NULL and an error: unreadable. */
static const char *read_secret(struct loader *loader, const char *name, const char *path)
{
    struct buffer text = {0};
    const char *kept = NULL;
    errno = 0;
    if (!read_file(resolve_path(loader, path), &text)) {
        fail(loader, name, "cannot read %s: %s", path, strerror(errno));
    } else {
        if (text.size && text.data[text.size - 1] == '\n')
            text.data[--text.size] = '\0';
        kept = keep(loader, text.data ? text.data : "");
    }
    buffer_release(&text);
    return kept;
}

/* ---- librdkafka's properties ---- */

static bool without_suffix(const char *name, const char *suffix, char *ret_base, size_t capacity)
{
    size_t size = strlen(name), suffix_size = strlen(suffix);
    if (size <= suffix_size || strcmp(name + size - suffix_size, suffix) != 0 || size - suffix_size >= capacity)
        return false;
    memcpy(ret_base, name, size - suffix_size);
    ret_base[size - suffix_size] = '\0';
    return true;
}

static struct config_property *property_slot(struct config *config, enum config_client client, const char *name)
{
    const struct config_property **end = &config->kafka;
    for (; *end; end = (const struct config_property **)&(*end)->next)
        if ((*end)->client == client && strcmp((*end)->name, name) == 0)
            return (struct config_property *)*end;
    struct config_property *property = ARENA_NEW(&config->arena, struct config_property);
    property->client = client;
    property->name = arena_copy(&config->arena, span_of(name)).data;
    *end = property;
    return property;
}

static bool property_valid(struct loader *loader, const char *key, const char *name, const char *value)
{
    for (size_t i = 0; i < COUNT_OF(reserved); i++) {
        if (strcmp(reserved[i].name, name) == 0) {
            fail(loader, key, "is decided by the worker (%s)", reserved[i].instead);
            return false;
        }
    }
    char text[256];
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    rd_kafka_conf_res_t result = rd_kafka_conf_set(scratch, name, value, text, sizeof(text));
    rd_kafka_conf_destroy(scratch);
    if (result != RD_KAFKA_CONF_OK)
        fail(loader, key, "librdkafka says: %s", text);
    return result == RD_KAFKA_CONF_OK;
}

/* name: what stands after "kafka." */
static void set_property(struct loader *loader, const char *key, const char *name, const char *text)
{
    enum config_client client = CONFIG_CLIENT_BOTH;
    if (strncmp(name, "producer.", 9) == 0)
        client = CONFIG_CLIENT_PRODUCER;
    else if (strncmp(name, "consumer.", 9) == 0)
        client = CONFIG_CLIENT_CONSUMER;
    if (client != CONFIG_CLIENT_BOTH)
        name += 9;
    char base[NAME_MAX_SIZE];
    if (without_suffix(name, "_file", base, sizeof(base))) {
        text = read_secret(loader, key, text);
        name = base;
    }
    if (text && property_valid(loader, key, name, text))
        property_slot(loader->config, client, name)->value = keep(loader, text);
}

/* ---- the file ---- */

static int find_key(const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].name, name) == 0)
            return (int)i;
    return -1;
}

static void set_named(struct loader *loader, const char *name, const char *text, bool quoted)
{
    if (strncmp(name, "kafka.", 6) == 0) {
        set_property(loader, name, name + 6, text);
        return;
    }
    char base[NAME_MAX_SIZE];
    int index = find_key(name);
    bool from_file = index < 0 && without_suffix(name, "_file", base, sizeof(base)) && (index = find_key(base)) >= 0 &&
                     keys[index].type == KEY_SECRET;
    if (index < 0 || (!from_file && strcmp(keys[index].name, name) != 0)) {
        fail(loader, name, "no such key; nearest: %s", nearest_key(name));
        return;
    }
    const struct key *key = &keys[index];
    if (loader->seen[index]) {
        fail(loader, name, "given twice, first on line %zu", loader->seen[index]);
        return;
    }
    loader->seen[index] = loader->line;
    if (quoted && (key->type == KEY_INTEGER || key->type == KEY_BOOLEAN))
        fail(loader, name, "expected %s, found a quoted text",
             key->type == KEY_INTEGER ? "a whole number" : "true or false");
    else if (!from_file)
        set_value(loader, key, name, text);
    else if ((text = read_secret(loader, name, text)) != NULL)
        set_value(loader, key, name, text);
}

static void walk_node(struct loader *loader, yaml_document_t *document, yaml_node_t *node, const char *name, int depth);

static void walk_pair(struct loader *loader, yaml_document_t *document, const yaml_node_pair_t *pair,
                      const char *prefix, int depth)
{
    yaml_node_t *key = yaml_document_get_node(document, pair->key);
    yaml_node_t *value = yaml_document_get_node(document, pair->value);
    char name[NAME_MAX_SIZE];
    loader->line = key->start_mark.line + 1;
    if (key->type != YAML_SCALAR_NODE || strlen(prefix) + key->data.scalar.length + 2 > sizeof(name)) {
        fail(loader, prefix[0] ? prefix : "config", "expected a key's name");
        return;
    }
    snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "." : "", (const char *)key->data.scalar.value);
    walk_node(loader, document, value, name, depth);
}

static bool is_section(const char *name)
{
    size_t size = strlen(name);
    if (strncmp(name, "kafka", 5) == 0 && (name[5] == '\0' || name[5] == '.'))
        return true;
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (size == 0 || (strncmp(keys[i].name, name, size) == 0 && keys[i].name[size] == '.'))
            return true;
    return false;
}

static void walk_node(struct loader *loader, yaml_document_t *document, yaml_node_t *node, const char *name, int depth)
{
    const char *shown = name[0] ? name : "config";
    if (node->type == YAML_MAPPING_NODE && depth < DEPTH_MAX && is_section(name)) {
        for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++)
            walk_pair(loader, document, p, name, depth + 1);
    } else if (node->type == YAML_MAPPING_NODE) {
        fail(loader, shown,
             find_key(name) >= 0 ? "expected one value, found a section" : "no such section; nearest: %s",
             nearest_key(name));
    } else if (node->type == YAML_SEQUENCE_NODE || depth == 0) {
        fail(loader, shown, "expected %s", depth == 0 ? "keys and values" : "one value, found a list");
    } else {
        const char *text = (const char *)node->data.scalar.value;
        bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (plain && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0))
            text = "";
        if (strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
            fail(loader, shown, "a NUL character in the value");
        else
            set_named(loader, name, text, !plain);
    }
}

static void load_yaml(struct loader *loader, const struct buffer *text)
{
    yaml_parser_t parser;
    yaml_document_t document;
    CHECK(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text->data ? text->data : ""), text->size);
    if (!yaml_parser_load(&parser, &document)) {
        loader->line = parser.problem_mark.line + 1;
        fail(loader, "config", "no valid YAML: %s", parser.problem ? parser.problem : "unreadable");
    } else {
        yaml_node_t *root = yaml_document_get_root_node(&document);
        loader->line = 1;
        if (root != NULL) /* an empty file is a config of defaults */
            walk_node(loader, &document, root, "", 0);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    loader->line = 0;
}

static void load_file(struct loader *loader)
{
    struct buffer text = {0};
    const char *slash = strrchr(loader->path, '/');
    loader->folder =
        slash ? arena_copy(&loader->config->arena, (struct span){loader->path, (size_t)(slash - loader->path) + 1}).data
              : "";
    errno = 0;
    if (read_file(loader->path, &text))
        load_yaml(loader, &text);
    else
        fail(loader, "", "cannot read the config: %s", strerror(errno));
    buffer_release(&text);
}

/* ---- the environment ---- */

static void environment_name(const char *key, char *ret_name, size_t capacity)
{
    int size = snprintf(ret_name, capacity, "ORIORI_%s", key);
    CHECK(size > 0 && (size_t)size < capacity);
    for (char *c = ret_name; *c; c++)
        *c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
}

static void load_environment_keys(struct loader *loader)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char name[NAME_MAX_SIZE + 16];
        environment_name(keys[i].name, name, sizeof(name));
        const char *text = getenv(name);
        if (text) {
            loader->seen[i] = 0;
            set_value(loader, &keys[i], name, text);
        }
        if (keys[i].type != KEY_SECRET)
            continue;
        strncat(name, "_FILE", sizeof(name) - strlen(name) - 1);
        if ((text = getenv(name)) != NULL && (text = read_secret(loader, name, text)) != NULL)
            set_value(loader, &keys[i], name, text);
    }
}

/* What Kubernetes gives every pod for a Service called oriori-something, unless told not to: no words to us. */
static bool is_service_link(const char *name, const char *text)
{
    const char *port = strstr(name, "_PORT_");
    size_t size = strlen(name);
    return strstr(name, "_SERVICE_HOST") || strstr(name, "_SERVICE_PORT") ||
           (port && isdigit((unsigned char)port[strlen("_PORT_")])) ||
           (size > 5 && strcmp(name + size - 5, "_PORT") == 0 && strstr(text, "://"));
}

/* The variable's name; false: it is not one of ours. */
static bool environment_entry(const char *entry, const char *prefix, char ret_name[NAME_MAX_SIZE],
                              const char **ret_text)
{
    const char *equals = strchr(entry, '=');
    size_t size = equals ? (size_t)(equals - entry) : 0;
    if (strncmp(entry, prefix, strlen(prefix)) != 0 || size <= strlen(prefix) || size >= NAME_MAX_SIZE)
        return false;
    snprintf(ret_name, NAME_MAX_SIZE, "%.*s", (int)size, entry);
    *ret_text = equals + 1;
    return true;
}

/* ORIORI_KAFKA_SASL_PASSWORD_FILE -> sasl.password_file: the last _FILE is no dot. */
static void load_environment_properties(struct loader *loader)
{
    static const char prefix[] = "ORIORI_KAFKA_";
    for (char **entry = environ; *entry; entry++) {
        char key[NAME_MAX_SIZE], name[NAME_MAX_SIZE] = "";
        const char *text;
        if (!environment_entry(*entry, prefix, key, &text) || is_service_link(key, text))
            continue;
        for (size_t i = sizeof(prefix) - 1; key[i]; i++)
            name[i - (sizeof(prefix) - 1)] = key[i] == '_' ? '.' : (char)tolower((unsigned char)key[i]);
        char base[NAME_MAX_SIZE];
        if (without_suffix(name, ".file", base, sizeof(base)))
            name[strlen(base)] = '_';
        set_property(loader, key, name, text);
    }
}

/* Read by other parts of the program, or by deploy/local and the tests. Variables of the test build are not: this program
 * does not hear them, and says so. */
static bool is_known_elsewhere(const char *name)
{
    static const char *const names[] = {"ORIORI_DATA_DIR", "ORIORI_CORE_DUMPS"};
    static const char *const prefixes[] = {"ORIORI_KAFKA_", "ORIORI_LOCAL_", "ORIORI_TEST_"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* Its distance from the nearest variable that a key has; 0 = it is one. */
static size_t nearest_variable(const char *name, char ret_nearest[NAME_MAX_SIZE + 16])
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < KEY_COUNT; i++)
        for (int file = 0; file <= (keys[i].type == KEY_SECRET); file++) {
            char variable[NAME_MAX_SIZE + 16];
            environment_name(keys[i].name, variable, sizeof(variable) - strlen("_FILE"));
            if (file)
                strcat(variable, "_FILE");
            size_t distance = edit_distance(name, variable);
            if (distance < best) {
                best = distance;
                strcpy(ret_nearest, variable);
            }
        }
    return best;
}

void config_environment_doubts(struct buffer *ret_lines)
{
    for (char **entry = environ; *entry; entry++) {
        char name[NAME_MAX_SIZE], nearest[NAME_MAX_SIZE + 16];
        const char *text;
        if (!environment_entry(*entry, "ORIORI_", name, &text))
            continue;
        if (is_service_link(name, text))
            buffer_format(ret_lines,
                          "environment: %s: ignored, a Kubernetes service link (enableServiceLinks: false leaves them "
                          "out)\n",
                          name);
        else if (!is_known_elsewhere(name) && nearest_variable(name, nearest) != 0)
            buffer_format(ret_lines, "environment: %s: ignored, no such key; nearest: %s\n", name, nearest);
    }
}

/* ---- what depends on several keys ---- */

/* Of a key that was read long ago: with the line on which the file gives it, if it is the file that does. */
static void fail_late(struct loader *loader, const char *key, const char *text)
{
    int index = find_key(key);
    loader->line = index >= 0 ? loader->seen[index] : 0;
    if (loader->line)
        fail(loader, key, "%s", text);
    else
        fail(loader, "", "%s: %s", key, text);
    loader->line = 0;
}

static void check_name(struct loader *loader, const char *key, const char *text)
{
    if (text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] != '\0')
        fail_late(loader, key, "may hold only letters, digits, dot, minus and underscore");
}

static void check_topic_name(struct loader *loader, enum topic topic)
{
    char key[NAME_MAX_SIZE + 1];
    snprintf(key, sizeof(key), "topics.%s", topic_name(topic));
    for (char *minus = key; (minus = strchr(minus, '-')) != NULL;)
        *minus = '_'; /* topics.email_opens names crm.email-opens */
    check_name(loader, key, loader->config->topic_inputs[topic]);
}

static void finish_start(struct loader *loader)
{
    struct config *config = loader->config;
    if (strcmp(config->start, "earliest") == 0)
        config->start_kind = CONFIG_START_EARLIEST;
    else if (strcmp(config->start, "latest") == 0)
        config->start_kind = CONFIG_START_LATEST;
    else if (timestamp_parse(span_of(config->start), &config->start_ms))
        config->start_kind = CONFIG_START_TIMESTAMP;
    else {
        char text[NAME_MAX_SIZE * 2];
        snprintf(text, sizeof(text), "expected earliest, latest or a time with an offset, found \"%s\"", config->start);
        fail_late(loader, "start", text);
    }
}

static void finish_names(struct loader *loader)
{
    struct config *config = loader->config;
    if (config->group_id[0] == '\0')
        config->group_id = config->application_id;
    if (config->transactional_id[0] == '\0') {
        char host[HOST_NAME_MAX + 1] = "localhost", text[HOST_NAME_MAX + NAME_MAX_SIZE];
        gethostname(host, sizeof(host) - 1);
        snprintf(text, sizeof(text), "%s-%s", config->application_id, host);
        config->transactional_id = keep(loader, text);
    }
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        if (config->topic_inputs[topic][0] == '\0')
            config->topic_inputs[topic] = config_topic(config, topic_name((enum topic)topic));
    check_name(loader, "application_id", config->application_id);
    check_name(loader, "topics.prefix", config->topic_prefix);
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        check_topic_name(loader, (enum topic)topic);
    if (config->application_id[0] == '\0')
        fail_late(loader, "application_id", "may not be empty");
}

static void finish_registry(struct loader *loader)
{
    struct config *config = loader->config;
    if (strcmp(config->registry_url, "none") == 0)
        config->registry_url = "";
    if (strchr(config->registry_url, '@')) /* addresses are shown in messages */
        fail_late(loader, "registry.url",
                  "may hold no user and password; use registry.user and registry.password_file");
    if (config->registry_user[0] && config->registry_token[0])
        fail_late(loader, "registry.token", "give a user or a token, not both");
}

static void finish_oauth(struct loader *loader)
{
    const struct config *config = loader->config;
    if (config->oauth_token_file[0] && config->oauth_url[0])
        fail_late(loader, "oauth.url", "give oauth.token_file or oauth.url, not both");
    if (config->oauth_url[0] && config->oauth_client_id[0] == '\0')
        fail_late(loader, "oauth.client_id", "is needed with oauth.url");
    if (strchr(config->oauth_url, '@')) /* it is shown in messages */
        fail_late(loader, "oauth.url",
                  "may hold no user and password; use oauth.client_id and oauth.client_secret_file");
}

static void finish_tracing(struct loader *loader)
{
    const struct config *config = loader->config;
    if (strchr(config->tracing_endpoint, '@')) /* it is shown in messages */
        fail_late(loader, "tracing.endpoint", "may hold no user and password; use tracing.headers_file");
    if (!http_headers_good(config->tracing_headers))
        fail_late(loader, "tracing.headers", "expected lines of the form \"Name: value\"");
}

static void finish(struct loader *loader)
{
    struct config *config = loader->config;
    finish_start(loader);
    finish_names(loader);
    finish_registry(loader);
    finish_tracing(loader);
    finish_oauth(loader);
    if (config->clock == CONFIG_CLOCK_INPUT && !config->demo)
        fail_late(loader, "clock", "input makes time follow the input and is allowed only with demo: true");
    if (config->log == CONFIG_LOG_MEMORY && config->log_folder[0] == '\0')
        fail_late(loader, "log", "memory needs log_folder");
}

bool config_load(struct config *config, const char *path, struct buffer *errors)
{
    memset(config, 0, sizeof(*config));
    arena_init(&config->arena, 0);
    struct loader loader = {.config = config, .errors = errors, .path = path, .folder = ""};
    for (size_t i = 0; i < KEY_COUNT; i++)
        set_value(&loader, &keys[i], keys[i].name, keys[i].initial);
    CHECK(loader.error_count == 0); /* a default of the table that its own row refuses */
    if (path)
        load_file(&loader);
    load_environment_keys(&loader);
    load_environment_properties(&loader);
    finish(&loader);
    return loader.error_count == 0;
}

void config_release(struct config *config)
{
    arena_release(&config->arena);
}

const char *config_topic(struct config *config, const char *name)
{
    struct buffer text = {0};
    buffer_format(&text, "%s%s", config->topic_prefix, name);
    const char *kept = arena_copy(&config->arena, buffer_span(&text)).data;
    buffer_release(&text);
    return kept;
}

const char *config_application(struct config *config)
{
    struct buffer text = {0};
    buffer_format(&text, "%s/%lld/%s", config->application_id, (long long)config->shards, config->topic_prefix);
    const char *kept = arena_copy(&config->arena, buffer_span(&text)).data;
    buffer_release(&text);
    return kept;
}

bool config_input(const struct config *config, struct span name, enum topic *ret_topic)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        if (span_equal(span_of(config->topic_inputs[topic]), name)) {
            *ret_topic = (enum topic)topic;
            return true;
        }
    return false;
}

/* ---- the reference ---- */

static void add_wrapped(struct buffer *out, const char *indent, const char *text)
{
    enum { WIDTH = 110 };
    while (*text) {
        size_t size = strlen(text), room = WIDTH - strlen(indent);
        if (size > room)
            for (size = room; size > 0 && text[size] != ' '; size--)
                ;
        buffer_format(out, "%s# %.*s\n", indent, (int)size, text);
        text += size;
        text += *text == ' ';
    }
}

static void add_key(struct buffer *out, const struct key *key, const char *indent, const char *leaf)
{
    add_wrapped(out, indent, key->text);
    if (key->type == KEY_CHOICE) {
        buffer_format(out, "%s# One of: %s\n", indent, key->choices);
    }
    buffer_format(out, "%s%s: %s\n", indent, leaf, key->initial[0] ? key->initial : "\"\"");
}

void config_reference(struct buffer *ret_text)
{
    char section[NAME_MAX_SIZE] = "";
    buffer_add_text(ret_text,
                    "# Every key with its default. A key redis.url is overridden by the environment variable\n"
                    "# ORIORI_REDIS_URL. Durations: 500ms, 10s, 2m, 1h, 7d; sizes: 64KiB, 4MiB.\n\n");
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *dot = strchr(keys[i].name, '.');
        size_t size = dot ? (size_t)(dot - keys[i].name) : 0;
        if (dot && (strlen(section) != size || strncmp(section, keys[i].name, size) != 0)) {
            snprintf(section, sizeof(section), "%.*s", (int)size, keys[i].name);
            buffer_format(ret_text, "\n%s:\n", section);
        }
        add_key(ret_text, &keys[i], dot ? "  " : "", dot ? dot + 1 : keys[i].name);
    }
    buffer_add_text(ret_text, "\n# librdkafka's own properties; those under producer: or consumer: are for that client "
                              "alone.\n# A secret may come from a file: sasl.password_file. ORIORI_KAFKA_SASL_USERNAME "
                              "overrides sasl.username.\nkafka:\n  bootstrap.servers: 127.0.0.1:9092\n"
                              "  producer: {}\n  consumer: {}\n");
}

/* ---- what is in force ---- */

#define MASK "***"

static void add_text_quoted(struct buffer *out, const char *text)
{
    buffer_add_char(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_add_char(out, '\\');
        if ((unsigned char)*text < 0x20)
            buffer_format(out, "\\x%02x", (unsigned)*text);
        else
            buffer_add_char(out, *text);
    }
    buffer_add_char(out, '"');
}

/* user:password before the host of each URL in the text: the password is masked. */
static void add_url_masked(struct buffer *out, const char *text)
{
    struct buffer shown = {0};
    while (*text) {
        size_t size = strcspn(text, " ");
        const char *scheme = strstr(text, "://"), *start = scheme && scheme < text + size ? scheme + 3 : text;
        const char *at = memrchr(text, '@', size),
                   *colon = at && start < at ? memchr(start, ':', (size_t)(at - start)) : NULL;
        if (colon)
            buffer_format(&shown, "%.*s:" MASK "%.*s", (int)(colon - text), text, (int)(text + size - at), at);
        else
            buffer_add(&shown, text, size);
        text += size;
        if (*text)
            buffer_add_char(&shown, *text++);
    }
    add_text_quoted(out, shown.data ? shown.data : "");
    buffer_release(&shown);
}

/* The largest unit that leaves a whole number. */
static void add_scaled(struct buffer *out, int64_t value, const char *const *units, const int64_t *scales)
{
    size_t best = 0;
    for (size_t i = 0; units[i]; i++)
        if (value > 0 && value % scales[i] == 0 && scales[i] >= scales[best])
            best = i;
    buffer_format(out, "%lld%s", (long long)(value / scales[best]), units[best]);
}

static void add_choice(struct buffer *out, const char *words, int index)
{
    for (; index > 0; index--)
        words += strcspn(words, " ") + 1;
    buffer_add(out, words, strcspn(words, " "));
}

static void add_value(struct buffer *out, const struct config *config, const struct key *key)
{
    const void *field = (const char *)config + key->offset;
    const char *text = key->type <= KEY_PATHS ? *(const char *const *)field : "";
    switch (key->type) {
    case KEY_SECRET:
        add_text_quoted(out, text[0] ? MASK : "");
        break;
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_PATHS:
        add_url_masked(out, text);
        break;
    case KEY_INTEGER:
        buffer_add_integer(out, *(const int64_t *)field);
        break;
    case KEY_BOOLEAN:
        buffer_add_text(out, *(const bool *)field ? "true" : "false");
        break;
    case KEY_CHOICE:
        add_choice(out, key->choices, *(const int *)field);
        break;
    case KEY_DURATION:
        add_scaled(out, *(const int64_t *)field, time_units, time_scales);
        break;
    case KEY_SIZE:
        add_scaled(out, *(const int64_t *)field, size_units, size_scales);
        break;
    }
}

/* librdkafka's properties are many and theirs: what sounds like a secret is one. */
static bool property_secret(const char *name)
{
    static const char *const words[] = {"password", "secret", "token", "key.pem", "oauthbearer.config", "jaas"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strstr(name, words[i]))
            return true;
    return false;
}

void config_show(const struct config *config, struct buffer *ret_text)
{
    static const char *const clients[] = {"", "producer.", "consumer."};
    for (size_t i = 0; i < KEY_COUNT; i++) {
        buffer_format(ret_text, "%s: ", keys[i].name);
        add_value(ret_text, config, &keys[i]);
        buffer_add_char(ret_text, '\n');
    }
    for (const struct config_property *p = config->kafka; p; p = p->next) {
        buffer_format(ret_text, "kafka.%s%s: ", clients[p->client], p->name);
        add_text_quoted(ret_text, property_secret(p->name) ? MASK : p->value);
        buffer_add_char(ret_text, '\n');
    }
}
