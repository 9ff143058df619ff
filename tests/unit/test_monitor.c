#include "common/io/logger.h"
#include "common/io/monitor.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t now = 1000;

static int64_t clock_of_the_test(void)
{
    return __atomic_load_n(&now, __ATOMIC_SEQ_CST);
}

/* The status of a request, and the whole answer in *answer. */
static int ask_at(const struct monitor *monitor, struct in_addr address, const char *method, const char *path,
                  struct buffer *answer)
{
    struct sockaddr_in where = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)monitor_port(monitor)), .sin_addr = address};
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
    assert_int_equal(0, connect(fd, (struct sockaddr *)&where, sizeof where));
    dprintf(fd, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", method, path);
    buffer_reset(answer);
    char bytes[512];
    for (ssize_t size; (size = read(fd, bytes, sizeof bytes)) > 0;)
        buffer_add(answer, bytes, (size_t)size);
    close(fd);
    assert_int_equal(1, sscanf(answer->data, "HTTP/1.1 %d", &status));
    return status;
}

static int ask(const struct monitor *monitor, const char *method, const char *path, struct buffer *answer)
{
    return ask_at(monitor, (struct in_addr){htonl(INADDR_LOOPBACK)}, method, path, answer);
}

static int get(const struct monitor *monitor, const char *path, struct buffer *answer)
{
    return ask(monitor, "GET", path, answer);
}

static const struct monitor_playbook playbooks[] = {{"aaaaaaaaaaaa", {"version: 7\n", 11}},
                                                    {"bbbbbbbbbbbb", {"version: 8\n", 11}}};

static void publish(struct monitor *monitor, bool ready, const char *trouble)
{
    monitor_publish(monitor, &(struct monitor_picture){.metrics = SPAN("oriori_ready 1\n"),
                                                       .playbooks = playbooks,
                                                       .playbook_count = 1,
                                                       .trouble = span_of(trouble),
                                                       .ready = ready,
                                                       .started = ready,
                                                       .progress_at = clock_of_the_test()});
}

static void test_readiness_follows_the_picture(void **state)
{
    (void)state;
    struct buffer answer = {0};
    struct monitor *monitor = monitor_open("127.0.0.1:0", 500, clock_of_the_test, &answer);
    assert_non_null(monitor);
    assert_int_equal(503, get(monitor, "/startupz", &answer));
    publish(monitor, false, "shard 3: rebuilding");
    assert_int_equal(503, get(monitor, "/readyz", &answer));
    assert_non_null(strstr(answer.data, "shard 3: rebuilding"));
    publish(monitor, true, "");
    assert_int_equal(200, get(monitor, "/readyz", &answer));
    assert_int_equal(200, get(monitor, "/metrics", &answer));
    assert_non_null(strstr(answer.data, "\r\n\r\noriori_ready 1\n"));
    publish(monitor, false, "");
    assert_int_equal(200, get(monitor, "/startupz", &answer)); /* once started, always started */
    assert_int_equal(404, get(monitor, "/", &answer));
    monitor_close(monitor);
    buffer_release(&answer);
}

static void test_the_playbook_is_shown_and_the_log_level_changes(void **state)
{
    (void)state;
    struct buffer answer = {0};
    struct monitor *monitor = monitor_open("127.0.0.1:0", 500, clock_of_the_test, &answer);
    publish(monitor, true, "");
    assert_int_equal(200, get(monitor, "/playbook", &answer));
    assert_non_null(strstr(answer.data, "\r\n\r\nversion: 7\n"));
    logger_init(CONFIG_LEVEL_WARN, CONFIG_FORMAT_JSON);
    assert_int_equal(200, get(monitor, "/loglevel?level=debug", &answer)); /* to look changes nothing */
    assert_non_null(strstr(answer.data, "\r\n\r\nwarn\n"));
    assert_int_equal(CONFIG_LEVEL_WARN, logger_level());
    assert_int_equal(200, ask(monitor, "PUT", "/loglevel?level=debug", &answer));
    assert_int_equal(CONFIG_LEVEL_DEBUG, logger_level());
    assert_int_equal(400, ask(monitor, "PUT", "/loglevel?level=loud", &answer));
    assert_int_equal(400, ask(monitor, "PUT", "/loglevel", &answer));
    assert_int_equal(CONFIG_LEVEL_DEBUG, logger_level());
    assert_int_equal(405, ask(monitor, "PUT", "/metrics", &answer));
    assert_int_equal(405, ask(monitor, "POST", "/loglevel?level=info", &answer));
    monitor_close(monitor);
    buffer_release(&answer);
}

static void publish_shards(struct monitor *monitor, const struct monitor_shard *shards, size_t shard_count)
{
    monitor_publish(monitor, &(struct monitor_picture){.metrics = SPAN("oriori_ready 1\n"),
                                                       .playbooks = playbooks,
                                                       .playbook_count = 2,
                                                       .shards = shards,
                                                       .shard_count = shard_count,
                                                       .progress_at = clock_of_the_test()});
}

/* While an activation spreads: no shard's text is given for the worker's. */
static void test_shards_that_differ_are_listed(void **state)
{
    (void)state;
    static const struct monitor_shard differ[] = {{2, 0}, {5, 1}, {11, 1}}, agree[] = {{2, 1}, {5, 1}};
    struct buffer answer = {0};
    struct monitor *monitor = monitor_open("127.0.0.1:0", 500, clock_of_the_test, &answer);
    assert_int_equal(404, get(monitor, "/playbook", &answer)); /* before the first picture */
    publish_shards(monitor, differ, 3);
    assert_int_equal(300, get(monitor, "/playbook", &answer));
    assert_non_null(strstr(answer.data, "\nshard 2    aaaaaaaaaaaa  /playbook?shard=2\n"));
    assert_non_null(strstr(answer.data, "\nshard 5    bbbbbbbbbbbb  /playbook?shard=5\n"));
    assert_non_null(strstr(answer.data, "\nshard 11   bbbbbbbbbbbb  /playbook?shard=11\n"));
    assert_null(strstr(answer.data, "Oriori-Playbook"));
    assert_int_equal(200, get(monitor, "/playbook?shard=2", &answer));
    assert_non_null(strstr(answer.data, "\r\n\r\nversion: 7\n"));
    assert_non_null(strstr(answer.data, "Oriori-Playbook: aaaaaaaaaaaa\r\n"));
    assert_int_equal(200, get(monitor, "/playbook?shard=11", &answer));
    assert_non_null(strstr(answer.data, "\r\n\r\nversion: 8\n"));
    assert_int_equal(404, get(monitor, "/playbook?shard=3", &answer));
    assert_int_equal(400, get(monitor, "/playbook?shard=x", &answer));
    assert_int_equal(400, get(monitor, "/playbook?shard=", &answer));
    publish_shards(monitor, agree, 2);
    assert_int_equal(200, get(monitor, "/playbook", &answer));
    assert_non_null(strstr(answer.data, "\r\n\r\nversion: 8\n"));
    assert_non_null(strstr(answer.data, "Oriori-Playbook: bbbbbbbbbbbb\r\n"));
    publish_shards(monitor, NULL, 0);
    assert_int_equal(200, get(monitor, "/playbook", &answer)); /* the config's own */
    assert_non_null(strstr(answer.data, "\r\n\r\nversion: 7\n"));
    monitor_close(monitor);
    buffer_release(&answer);
}

/* The address that other machines would use is not this machine's own loopback. */
static void test_the_log_level_is_not_changed_from_elsewhere(void **state)
{
    (void)state;
    struct buffer answer = {0};
    struct ifaddrs *all = NULL, *one;
    assert_int_equal(0, getifaddrs(&all));
    for (one = all; one; one = one->ifa_next)
        if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET && !(one->ifa_flags & IFF_LOOPBACK))
            break;
    if (!one) {
        freeifaddrs(all);
        skip(); /* a machine without a network */
    }
    struct sockaddr_in where = *(struct sockaddr_in *)one->ifa_addr;
    freeifaddrs(all);
    struct monitor *monitor = monitor_open("0.0.0.0:0", 500, clock_of_the_test, &answer);
    logger_init(CONFIG_LEVEL_WARN, CONFIG_FORMAT_JSON);
    ask_at(monitor, where.sin_addr, "PUT", "/loglevel?level=debug", &answer);
    assert_non_null(strstr(answer.data, " 403 "));
    assert_int_equal(CONFIG_LEVEL_WARN, logger_level());
    monitor_close(monitor);
    buffer_release(&answer);
}

static void test_a_worker_that_hangs_is_not_alive(void **state)
{
    (void)state;
    struct buffer answer = {0};
    struct monitor *monitor = monitor_open("127.0.0.1:0", 500, clock_of_the_test, &answer);
    publish(monitor, true, "");
    __atomic_add_fetch(&now, 500, __ATOMIC_SEQ_CST);
    assert_int_equal(200, get(monitor, "/healthz", &answer));
    __atomic_add_fetch(&now, 1, __ATOMIC_SEQ_CST);
    assert_int_equal(503, get(monitor, "/healthz", &answer));
    assert_int_equal(503, get(monitor, "/readyz", &answer));
    monitor_close(monitor);
    buffer_release(&answer);
}

static void test_bad_addresses_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "9464", ":9464", "no-such-host.invalid:1", "127.0.0.1:port"};
    struct buffer error = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        buffer_reset(&error);
        assert_null(monitor_open(bad[i], 500, clock_of_the_test, &error));
        assert_non_null(strstr(error.data, bad[i]));
    }
    buffer_release(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readiness_follows_the_picture),
        cmocka_unit_test(test_the_playbook_is_shown_and_the_log_level_changes),
        cmocka_unit_test(test_shards_that_differ_are_listed),
        cmocka_unit_test(test_the_log_level_is_not_changed_from_elsewhere),
        cmocka_unit_test(test_a_worker_that_hangs_is_not_alive),
        cmocka_unit_test(test_bad_addresses_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
