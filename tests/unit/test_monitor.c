#include "common/io/monitor.h"

#include <arpa/inet.h>
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

/* The status of a GET, and the whole answer in *answer. */
static int get(const struct monitor *monitor, const char *path, struct buffer *answer)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)monitor_port(monitor))};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
    assert_int_equal(0, connect(fd, (struct sockaddr *)&where, sizeof where));
    dprintf(fd, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    buffer_reset(answer);
    char bytes[512];
    for (ssize_t size; (size = read(fd, bytes, sizeof bytes)) > 0;)
        buffer_add(answer, bytes, (size_t)size);
    close(fd);
    assert_int_equal(1, sscanf(answer->data, "HTTP/1.1 %d", &status));
    return status;
}

static void publish(struct monitor *monitor, bool ready, const char *trouble)
{
    monitor_publish(monitor, &(struct monitor_picture){.metrics = SPAN("oriori_ready 1\n"),
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
        cmocka_unit_test(test_a_worker_that_hangs_is_not_alive),
        cmocka_unit_test(test_bad_addresses_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
