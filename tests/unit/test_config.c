#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/io/config.h"
#include "common/io/logger.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/oriori-config-XXXXXX";
static char path[64];

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Loads the text; the caller releases both. */
static bool load(const char *text, struct config *config, struct buffer *errors)
{
    write_text(path, text);
    return config_load(config, path, errors);
}

/* expected: the error lines without the folder. */
static void expect_error(const char *yaml, const char *expected)
{
    struct config config;
    struct buffer errors = {0}, found = {0};
    assert_false(load(yaml, &config, &errors));
    for (char *line = strtok(errors.data, "\n"); line; line = strtok(NULL, "\n")) {
        assert_int_equal(strncmp(line, folder, strlen(folder)), 0);
        buffer_format(&found, "%s\n", line + strlen(folder) + 1);
    }
    assert_string_equal(found.data, expected);
    config_release(&config);
    buffer_release(&errors);
    buffer_release(&found);
}

static void an_empty_file_gives_the_defaults(void **state)
{
    (void)state;
    struct config config;
    struct buffer errors = {0};
    assert_true(load("", &config, &errors));
    assert_string_equal(config.application_id, "oriori");
    assert_string_equal(config.group_id, "oriori");
    assert_int_equal(config.shards, 16);
    assert_int_equal(config.batch_wait_ms, 25);
    assert_int_equal(config.batch_bytes, 4 << 20);
    assert_int_equal(config.decisions, CONFIG_DECISIONS_SENT_AND_BLOCKED);
    assert_string_equal(config.topic_inputs[TOPIC_EMAIL_OPENS], "crm.email-opens");
    assert_string_equal(config_topic(&config, "actions"), "crm.actions");
    assert_int_equal(strncmp(config.transactional_id, "oriori-", 7), 0);
    config_release(&config);
}

static void values_of_every_type_are_read(void **state)
{
    (void)state;
    struct config config;
    struct buffer errors = {0};
    assert_true(load("application_id: shop\nshards: 4\ndemo: true\nclock: input\nplaybook: books/p.yaml\n"
                     "start: 2024-01-31T09:00:00+09:00\ntopics: {prefix: x., orders: shop-orders}\n"
                     "redis.url: unix:/run/redis\nbatch:\n  bytes: 64KiB\n  wait: 2s\ndecisions: all\n"
                     "kafka:\n  bootstrap.servers: k:9092\n  producer: {linger.ms: 7}\n",
                     &config, &errors));
    assert_int_equal(config.shards, 4);
    assert_true(config.demo);
    assert_int_equal(config.clock, CONFIG_CLOCK_INPUT);
    assert_int_equal(config.start_kind, CONFIG_START_TIMESTAMP);
    assert_true(config.start_ms == INT64_C(1706659200000));
    assert_int_equal(strncmp(config.playbook, folder, strlen(folder)), 0);
    assert_string_equal(config.playbook + strlen(folder), "/books/p.yaml");
    assert_string_equal(config.topic_inputs[TOPIC_ORDERS], "shop-orders");
    assert_string_equal(config.topic_inputs[TOPIC_SURVEYS], "x.surveys");
    assert_string_equal(config.redis_url, "unix:/run/redis");
    assert_int_equal(config.batch_bytes, 65536);
    assert_int_equal(config.batch_wait_ms, 2000);
    assert_int_equal(config.decisions, CONFIG_DECISIONS_ALL);
    assert_string_equal(config.kafka->name, "bootstrap.servers");
    assert_int_equal(config.kafka->client, CONFIG_CLIENT_BOTH);
    assert_string_equal(config.kafka->next->name, "linger.ms");
    assert_string_equal(config.kafka->next->value, "7");
    assert_int_equal(config.kafka->next->client, CONFIG_CLIENT_PRODUCER);
    config_release(&config);
}

static void errors_name_file_line_and_key(void **state)
{
    (void)state;
    expect_error("shards: 4\nredis:\n  urll: x\n", "c.yaml:3: redis.urll: no such key; nearest: redis.url\n");
    expect_error("\nshards: many\n", "c.yaml:2: shards: expected a whole number, found \"many\"\n");
    expect_error("shards: \"4\"\n", "c.yaml:1: shards: expected a whole number, found a quoted text\n");
    expect_error("shards: 0\n", "c.yaml:1: shards: 0 is outside 1 .. 1024\n");
    expect_error("demo: yes\n", "c.yaml:1: demo: expected true or false, found \"yes\"\n");
    expect_error("clock: sun\n", "c.yaml:1: clock: expected one of wall input, found \"sun\"\n");
    expect_error("batch: {wait: 2w}\n",
                 "c.yaml:1: batch.wait: expected a duration like 500ms, 10s, 2m, 7d, found \"2w\"\n");
    expect_error("shards: 4\nshards: 5\n", "c.yaml:2: shards: given twice, first on line 1\n");
    expect_error("shards: [4]\n", "c.yaml:1: shards: expected one value, found a list\n");
    expect_error("shards: {a: 4}\n", "c.yaml:1: shards: expected one value, found a section\n");
    expect_error("- 4\n", "c.yaml:1: config: expected keys and values\n");
    expect_error("a: 'b\n", "c.yaml:2: config: no valid YAML: found unexpected end of stream\n");
    expect_error("kafka:\n  isolation.level: read_uncommitted\n",
                 "c.yaml:2: kafka.isolation.level: is decided by the worker (always read_committed)\n");
    expect_error("kafka:\n  lingerms: 5\n",
                 "c.yaml:2: kafka.lingerms: librdkafka says: No such configuration property: \"lingerms\"\n");
    expect_error("clock: input\n",
                 "c.yaml:1: clock: input makes time follow the input and is allowed only with demo: true\n");
    expect_error("start: noon\n",
                 "c.yaml:1: start: expected earliest, latest or a time with an offset, found \"noon\"\n");
}

static void all_errors_are_reported_at_once(void **state)
{
    (void)state;
    expect_error("shard: 4\ndemo: 7\n", "c.yaml:1: shard: no such key; nearest: shards\n"
                                        "c.yaml:2: demo: expected true or false, found \"7\"\n");
}

static void an_unreadable_file_is_an_error(void **state)
{
    (void)state;
    struct config config;
    struct buffer errors = {0};
    assert_false(config_load(&config, "/nowhere/c.yaml", &errors));
    assert_string_equal(errors.data, "/nowhere/c.yaml: cannot read the config: No such file or directory\n");
    config_release(&config);
    buffer_release(&errors);
}

static void the_environment_wins(void **state)
{
    (void)state;
    struct config config;
    struct buffer errors = {0};
    setenv("ORIORI_REDIS_URL", "redis://other:1", 1);
    setenv("ORIORI_BATCH_WAIT", "40ms", 1);
    setenv("ORIORI_KAFKA_BOOTSTRAP_SERVERS", "other:9092", 1);
    setenv("ORIORI_KAFKA_CONSUMER_FETCH_WAIT_MAX_MS", "33", 1);
    bool good = load("redis: {url: redis://mine}\nkafka: {bootstrap.servers: mine}\n", &config, &errors);
    unsetenv("ORIORI_REDIS_URL");
    unsetenv("ORIORI_BATCH_WAIT");
    unsetenv("ORIORI_KAFKA_BOOTSTRAP_SERVERS");
    unsetenv("ORIORI_KAFKA_CONSUMER_FETCH_WAIT_MAX_MS");
    assert_true(good);
    assert_string_equal(config.redis_url, "redis://other:1");
    assert_int_equal(config.batch_wait_ms, 40);
    assert_string_equal(config.kafka->value, "other:9092");
    assert_string_equal(config.kafka->next->name, "fetch.wait.max.ms");
    assert_int_equal(config.kafka->next->client, CONFIG_CLIENT_CONSUMER);
    assert_null(config.kafka->next->next);
    config_release(&config);
}

/* Never an error: Kubernetes makes such variables for its own ends. */
static void a_variable_that_nobody_reads_is_doubted(void **state)
{
    (void)state;
    static const char *const doubted[][3] = {
        {"ORIORI_REDIS_PASWORD", "x", "ignored, no such key; nearest: ORIORI_REDIS_PASSWORD\n"},
        {"ORIORI_REDIS_PASSWORD_FILES", "x", "ignored, no such key; nearest: ORIORI_REDIS_PASSWORD_FILE\n"},
        {"ORIORI_KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1", "ignored, a Kubernetes service link"},
        {"ORIORI_KAFKA_PORT", "tcp://10.0.0.1:9092", "ignored, a Kubernetes service link"},
        {"ORIORI_KAFKA_SERVICE_HOST", "10.0.0.1", "ignored, a Kubernetes service link"},
    };
    static const char *const read[] = {"ORIORI_BATCH_WAIT", "ORIORI_REDIS_SENTINEL_PASSWORD", "ORIORI_CORE_DUMPS",
                                       "ORIORI_KAFKA_CONSUMER_FETCH_WAIT_MAX_MS"};
    struct config config;
    struct buffer lines = {0}, errors = {0};
    for (size_t i = 0; i < sizeof(doubted) / sizeof(doubted[0]); i++)
        setenv(doubted[i][0], doubted[i][1], 1);
    for (size_t i = 0; i < sizeof(read) / sizeof(read[0]); i++)
        setenv(read[i], "1", 1);
    config_environment_doubts(&lines);
    for (size_t i = 0; i < sizeof(doubted) / sizeof(doubted[0]); i++) {
        char line[256];
        snprintf(line, sizeof(line), "environment: %s: %s", doubted[i][0], doubted[i][2]);
        if (!strstr(lines.data, line))
            fail_msg("no \"%s\" in\n%s", line, lines.data);
    }
    for (size_t i = 0; i < sizeof(read) / sizeof(read[0]); i++) {
        assert_null(strstr(lines.data, read[i]));
        unsetenv(read[i]);
    }
    if (!load("", &config, &errors))
        fail_msg("%s", errors.data);
    assert_null(config.kafka); /* no property came of a link */
    for (size_t i = 0; i < sizeof(doubted) / sizeof(doubted[0]); i++)
        unsetenv(doubted[i][0]);
    config_release(&config);
    buffer_release(&lines);
    buffer_release(&errors);
}

static void a_bad_variable_is_named(void **state)
{
    (void)state;
    struct config config;
    struct buffer errors = {0};
    setenv("ORIORI_SHARDS", "x", 1);
    assert_false(load("", &config, &errors));
    unsetenv("ORIORI_SHARDS");
    assert_string_equal(errors.data, "environment: ORIORI_SHARDS: expected a whole number, found \"x\"\n");
    config_release(&config);
    buffer_release(&errors);
}

static void secrets_come_from_files(void **state)
{
    (void)state;
    struct config config;
    struct buffer errors = {0};
    char secret[80];
    snprintf(secret, sizeof(secret), "%s/secret", folder);
    write_text(secret, "s3cret\n");
    assert_true(load("redis: {password_file: secret}\nkafka: {sasl.password_file: secret}\n", &config, &errors));
    assert_string_equal(config.redis_password, "s3cret");
    assert_string_equal(config.kafka->name, "sasl.password");
    assert_string_equal(config.kafka->value, "s3cret");
    config_release(&config);
    remove(secret);
    expect_error("redis:\n  password_file: gone\n",
                 "c.yaml:2: redis.password_file: cannot read gone: No such file or directory\n");
}

static void the_collectors_headers_are_lines(void **state)
{
    (void)state;
    struct config config;
    struct buffer errors = {0}, shown = {0};
    char headers[80];
    snprintf(headers, sizeof(headers), "%s/headers", folder);
    write_text(headers, "Authorization: Bearer hunter2\r\n\nX-Shop: a: b\n");
    assert_true(load("tracing: {endpoint: \"https://c:4318\", headers_file: headers, ca: ca.pem}\n", &config, &errors));
    assert_string_equal(config.tracing_headers, "Authorization: Bearer hunter2\r\n\nX-Shop: a: b");
    assert_string_equal(config.tracing_ca + strlen(folder), "/ca.pem");
    config_show(&config, &shown);
    assert_non_null(strstr(shown.data, "\ntracing.headers: \"***\"\n"));
    config_release(&config);
    buffer_release(&shown);
    static const char *const wrong[] = {"Bearer hunter2\n", ": x\n",           "A B: x\n",
                                        "X-Shop:  \n",      "A: x\nB: \x7f\n", "A: \t\n"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_text(headers, wrong[i]);
        expect_error("tracing:\n  headers_file: headers\n",
                     "c.yaml:2: tracing.headers: expected lines of the form \"Name: value\"\n");
    }
    remove(headers);
    expect_error("tracing: {endpoint: \"http://a:b@c:4318\"}\n",
                 "c.yaml:1: tracing.endpoint: may hold no user and password; use tracing.headers_file\n");
}

static void what_is_in_force_is_shown_without_secrets(void **state)
{
    (void)state;
    struct config config;
    struct buffer errors = {0}, shown = {0}, again = {0};
    setenv("ORIORI_SHARDS", "8", 1);
    bool loaded = load("redis: {url: \"redis://app:hunter2@host:1/0\", password: hunter2}\n"
                       "registry: {url: \"http://a:1 http://b:2\"}\n"
                       "batch: {bytes: 2048KiB, wait: 1500ms}\nstart: \"earliest\"\n"
                       "kafka: {sasl.password: hunter2, producer.ssl.key.password: hunter2, client.rack: \"a\\\"b\"}\n",
                       &config, &errors);
    unsetenv("ORIORI_SHARDS");
    assert_string_equal(errors.data ? errors.data : "", "");
    assert_true(loaded);
    config_show(&config, &shown);
    config_release(&config);
    assert_null(strstr(shown.data, "hunter2"));
    static const char *const lines[] = {"\nshards: 8\n",
                                        "\nredis.url: \"redis://app:***@host:1/0\"\n",
                                        "\nredis.password: \"***\"\n",
                                        "\nregistry.url: \"http://a:1 http://b:2\"\n",
                                        "\nregistry.password: \"\"\n",
                                        "\nbatch.bytes: 2MiB\n",
                                        "\nbatch.wait: 1500ms\n",
                                        "\nbatch.records: 5000\n",
                                        "\ndecisions: sent-and-blocked\n",
                                        "\ndemo: false\n",
                                        "\ntimeouts.progress: 2m\n",
                                        "\nkafka.sasl.password: \"***\"\n",
                                        "\nkafka.producer.ssl.key.password: \"***\"\n",
                                        "\nkafka.client.rack: \"a\\\"b\"\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (!strstr(shown.data, lines[i]))
            fail_msg("no line %s in %s", lines[i] + 1, shown.data);
    bool good = load(shown.data, &config, &errors); /* what is shown is a config, and shows itself */
    assert_string_equal(errors.data ? errors.data : "", "");
    assert_true(good);
    config_show(&config, &again);
    assert_string_equal(shown.data, again.data);
    config_release(&config);
    buffer_release(&shown);
    buffer_release(&again);
}

/* The reference is itself a config file, and it gives the defaults. */
static void the_reference_is_a_config_of_defaults(void **state)
{
    (void)state;
    struct config config;
    struct buffer text = {0}, errors = {0};
    config_reference(&text);
    bool good = load(text.data, &config, &errors);
    assert_string_equal(errors.data ? errors.data : "", "");
    assert_true(good);
    assert_int_equal(config.shards, 16);
    config_release(&config);
    buffer_release(&text);
}

static void log_lines_are_json_or_text(void **state)
{
    (void)state;
    const struct logger_field fields[] = {
        LOG_TEXT("topic", "a\"b\n"), LOG_INTEGER("count", -3), LOG_TEXT("none", NULL), {LOGGER_END, NULL, NULL, 0}};
    struct buffer line = {0};
    logger_line(&line, true, 0, CONFIG_LEVEL_WARN, "hello", fields);
    assert_string_equal(line.data, "{\"at\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\",\"message\":\"hello\","
                                   "\"topic\":\"a\\\"b\\u000a\",\"count\":-3,\"none\":null}\n");
    buffer_reset(&line);
    logger_line(&line, false, 0, CONFIG_LEVEL_WARN, "hello", fields);
    assert_string_equal(line.data, "1970-01-01T00:00:00.000Z warn  hello topic=a\"b? count=-3 none=-\n");
    buffer_release(&line);
}

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/c.yaml", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(values_of_every_type_are_read),
        cmocka_unit_test(errors_name_file_line_and_key),
        cmocka_unit_test(all_errors_are_reported_at_once),
        cmocka_unit_test(an_unreadable_file_is_an_error),
        cmocka_unit_test(the_environment_wins),
        cmocka_unit_test(a_variable_that_nobody_reads_is_doubted),
        cmocka_unit_test(a_bad_variable_is_named),
        cmocka_unit_test(secrets_come_from_files),
        cmocka_unit_test(the_collectors_headers_are_lines),
        cmocka_unit_test(what_is_in_force_is_shown_without_secrets),
        cmocka_unit_test(the_reference_is_a_config_of_defaults),
        cmocka_unit_test(log_lines_are_json_or_text),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
