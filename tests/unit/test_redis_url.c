/* What redis.url may say, and where a cluster keeps a shard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/io/redis_reach.h"

#include <stdio.h>

static struct arena arena;

/* All of a URL in one text. */
static const char *parsed(const char *text)
{
    static const char *const kinds[] = {"single", "sentinel", "cluster"};
    static char shown[256];
    struct redis_url url;
    if (!redis_url_parse(text, &arena, &url))
        return "refused";
    int size =
        snprintf(shown, sizeof(shown), "%s%s %s:%s", kinds[url.kind], url.tls ? " tls" : "", url.user, url.password);
    for (size_t i = 0; i < url.server_count; i++)
        size += url.servers[i].host ? snprintf(shown + size, sizeof(shown) - (size_t)size, " %s,%d",
                                               url.servers[i].host, url.servers[i].port)
                                    : snprintf(shown + size, sizeof(shown) - (size_t)size, " %s", url.servers[i].path);
    snprintf(shown + size, sizeof(shown) - (size_t)size, " %s/%d", url.name, url.database);
    return shown;
}

static void urls(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"redis://h", "single : h,6379 /0"},
        {"redis://h:1/", "single : h,1 /0"},
        {"redis://u:p:w@h:1/3", "single u:p:w h,1 /3"},
        {"redis://:p@[::1]:7", "single :p ::1,7 /0"},
        {"redis://u@h", "single u: h,6379 /0"},
        {"rediss://h", "single tls : h,6379 /0"},
        {"unix:/run/s", "single : /run/s /0"},
        {"unix:///run/s", "single : /run/s /0"},
        {"redis-sentinel://a,b:7,[::1]:8/m", "sentinel : a,26379 b,7 ::1,8 m/0"},
        {"redis-sentinel://u:p@a/m/2", "sentinel u:p a,26379 m/2"},
        {"rediss-sentinel://a/m", "sentinel tls : a,26379 m/0"},
        {"redis-cluster://a:1,b", "cluster : a,1 b,6379 /0"},
        {"rediss-cluster://u:p@a", "cluster tls u:p a,6379 /0"},
        {"redis://", "refused"},
        {"redis://a,b", "refused"},
        {"redis://a:x", "refused"},
        {"redis://a:70000", "refused"},
        {"redis://a/x", "refused"},
        {"redis-sentinel://a", "refused"},
        {"redis-sentinel://a/", "refused"},
        {"redis-sentinel:///m", "refused"},
        {"redis-sentinel://a,/m", "refused"},
        {"redis-cluster://a/1", "refused"},
        {"redis-cluster://", "refused"},
        {"redis-cluster://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "refused"},
        {"unix:", "refused"},
        {"http://h", "refused"},
        {"h:6379", "refused"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(parsed(rows[i][0]), rows[i][1]);
    assert_string_equal(redis_url_shown("redis-sentinel://u:p@a,b/m"), "a,b/m");
}

/* The values that Redis's own documents and `CLUSTER KEYSLOT` give. */
static void slots(void **state)
{
    (void)state;
    assert_int_equal(redis_slot_of(SPAN("123456789")), 0x31C3);
    assert_int_equal(redis_slot_of(SPAN("foo")), 12182);
    assert_int_equal(redis_slot_of(SPAN("")), 0);
    assert_int_equal(redis_slot_of(SPAN("1")), 9842);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(urls), cmocka_unit_test(slots)};
    arena_init(&arena, 0);
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return status;
}
