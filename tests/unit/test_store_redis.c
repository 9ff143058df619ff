/* The store seam on a real redis-server: a private one, on a socket and a free port of its own. Skipped where no
 * redis-server is installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/io/store_redis.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/oriori-redis-XXXXXX";
static char socket_path[64], socket_url[80];
static int port;
static pid_t server;
static struct config config;
static struct store store;
static struct arena arena;

/* ---- the server ---- */

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(fd, (struct sockaddr *)&address, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void command(const char *text)
{
    redisContext *context = redisConnectUnix(socket_path);
    redisReply *reply = context->err ? NULL : redisCommand(context, text);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    redisFree(context);
}

static bool server_answers(void)
{
    redisContext *context = redisConnectUnix(socket_path);
    redisReply *reply = context->err ? NULL : redisCommand(context, "PING");
    bool good = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply)
        freeReplyObject(reply);
    redisFree(context);
    return good;
}

static bool server_start(void)
{
    char port_text[16];
    snprintf(port_text, sizeof(port_text), "%d", port);
    server = fork();
    if (server == 0) {
        CHECK(freopen("/dev/null", "w", stdout));
        execlp("redis-server", "redis-server", "--port", port_text, "--bind", "127.0.0.1", "--unixsocket", socket_path,
               "--save", "", "--dir", folder, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 1000; i++) { /* until it answers or is gone; 10 s at most */
        if (server_answers())
            return true;
        if (waitpid(server, NULL, WNOHANG) == server)
            return false;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    return false;
}

static void server_stop(void)
{
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

static int setup(void **state)
{
    (void)state;
    CHECK(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/s", folder);
    snprintf(socket_url, sizeof(socket_url), "unix:%s", socket_path);
    port = free_port();
    struct buffer errors = {0};
    CHECK(config_load(&config, NULL, &errors));
    config.redis_url = socket_url;
    arena_init(&arena, 0);
    if (!server_start()) {
        printf("no redis-server: skipped\n");
        server = 0;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (server)
        server_stop();
    config_release(&config);
    arena_release(&arena);
    unlink(socket_path);
    return rmdir(folder);
}

static int open_store(void **state)
{
    (void)state;
    struct buffer error = {0};
    if (server == 0)
        return 0;
    command("FLUSHALL");
    CHECK(store_redis_open(&config, &store, &error) == WORLD_DONE);
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    if (server)
        store_close(&store);
    arena_reset(&arena);
    return 0;
}

#define NEEDS_SERVER()                                                                                                 \
    do {                                                                                                               \
        (void)state;                                                                                                   \
        if (!server)                                                                                                   \
            skip();                                                                                                    \
    } while (0)

/* ---- helpers ---- */

static struct span numbered(const char *prefix, int number)
{
    char text[32];
    snprintf(text, sizeof(text), "%s%d", prefix, number);
    return arena_copy(&arena, span_of(text));
}

static void take(int32_t shard, const char *epoch)
{
    struct store_meta before;
    assert_int_equal(store_take(&store, shard, span_of(epoch), SPAN("owner"), SPAN("shop/16/cluster"), &arena, &before),
                     WORLD_DONE);
}

static bool apply(int32_t shard, const char *epoch, int64_t expected, int64_t pos, int64_t seq,
                  const struct store_write *writes, size_t count)
{
    struct store_apply request = {.shard = shard,
                                  .epoch = span_of(epoch),
                                  .pos_expected = expected,
                                  .pos = pos,
                                  .seq = seq,
                                  .last = SPAN("m"),
                                  .writes = writes,
                                  .write_count = count};
    assert_int_equal(store_apply(&store, &request, 1), WORLD_DONE);
    return request.applied;
}

static struct store_load load(int32_t shard, const struct span *ids, size_t count, int64_t due_before, size_t due_max)
{
    struct store_load request = {
        .shard = shard, .ids = ids, .id_count = count, .due_before = due_before, .due_max = due_max};
    int64_t server_ms = 0;
    assert_int_equal(store_load(&store, &request, 1, &arena, &server_ms), WORLD_DONE);
    assert_true(llabs(server_ms - (int64_t)time(NULL) * 1000) < 5000);
    return request;
}

static void assert_span(struct span found, const char *expected)
{
    assert_true(span_equal(found, span_of(expected)));
}

/* ---- tests ---- */

static void a_new_shard_is_empty_and_can_be_taken(void **state)
{
    NEEDS_SERVER();
    struct store_meta meta;
    assert_int_equal(store_take(&store, 7, SPAN("e1"), SPAN("w1"), SPAN("shop"), &arena, &meta), WORLD_DONE);
    assert_true(span_empty(meta.epoch) && span_empty(meta.owner) && span_empty(meta.identity));
    assert_true(meta.pos == STORE_POS_NONE && meta.seq == 0);
    assert_int_equal(store_take(&store, 7, SPAN("e2"), SPAN("w2"), SPAN("shop"), &arena, &meta), WORLD_DONE);
    assert_span(meta.epoch, "e1");
    assert_span(meta.owner, "w1");
    assert_int_equal(store_read_meta(&store, 7, &arena, &meta), WORLD_DONE);
    assert_span(meta.epoch, "e2");
    assert_span(meta.identity, "shop");
}

static void another_shops_shard_is_not_taken(void **state)
{
    NEEDS_SERVER();
    struct store_meta meta;
    assert_int_equal(store_take(&store, 1, SPAN("e1"), SPAN("w"), SPAN("mine"), &arena, &meta), WORLD_DONE);
    assert_int_equal(store_take(&store, 1, SPAN("e2"), SPAN("w"), SPAN("yours"), &arena, &meta), WORLD_DONE);
    assert_span(meta.identity, "mine");
    assert_int_equal(store_read_meta(&store, 1, &arena, &meta), WORLD_DONE);
    assert_span(meta.epoch, "e1");
}

static void what_is_applied_is_loaded(void **state)
{
    NEEDS_SERVER();
    take(3, "e");
    static const char blob[] = "\1\0\n\r\377";
    struct store_write writes[] = {{SPAN("anna"), {blob, sizeof(blob) - 1}, 500}, {SPAN("日本"), SPAN("b"), NEVER}};
    assert_true(apply(3, "e", STORE_POS_NONE, 10, 1, writes, 2));
    struct span ids[] = {SPAN("nobody"), SPAN("日本"), SPAN("anna")};
    struct store_load found = load(3, ids, 3, 500, 10);
    assert_true(span_empty(found.states[0]));
    assert_span(found.states[1], "b");
    assert_true(span_equal(found.states[2], writes[0].state));
    assert_int_equal(found.due_count, 0); /* due means before, not at */
    assert_true(found.next_wake_at == 500);
    assert_span(found.epoch, "e");
    assert_true(found.pos == 10 && found.seq == 1);
    struct span one;
    assert_int_equal(store_customer(&store, 3, SPAN("anna"), &arena, &one), WORLD_DONE);
    assert_true(span_equal(one, writes[0].state));
    assert_int_equal(store_customer(&store, 4, SPAN("anna"), &arena, &one), WORLD_DONE);
    assert_true(span_empty(one));
    struct store_meta meta;
    assert_int_equal(store_read_meta(&store, 3, &arena, &meta), WORLD_DONE);
    assert_span(meta.last, "m");
}

static void apply_needs_the_epoch_and_the_position(void **state)
{
    NEEDS_SERVER();
    take(3, "e");
    struct store_write write = {SPAN("a"), SPAN("1"), 5};
    assert_true(apply(3, "e", STORE_POS_NONE, 10, 1, &write, 1));
    write.state = SPAN("2");
    assert_false(apply(3, "old", 10, 20, 2, &write, 1));
    assert_false(apply(3, "e", 9, 20, 2, &write, 1));
    assert_false(apply(3, "e", STORE_POS_NONE, 20, 2, &write, 1));
    struct span id = SPAN("a");
    struct store_load found = load(3, &id, 1, 100, 10);
    assert_span(found.states[0], "1");
    assert_true(found.pos == 10 && found.seq == 1);
    assert_true(apply(3, "e", 10, 20, 2, &write, 1));
    assert_span(load(3, &id, 1, 100, 10).states[0], "2");
}

static void due_customers_come_earliest_first(void **state)
{
    NEEDS_SERVER();
    take(0, "e");
    struct store_write writes[] = {{SPAN("c"), SPAN("sc"), 30},
                                   {SPAN("b"), SPAN("sb"), 20},
                                   {SPAN("a"), SPAN("sa"), 20},
                                   {SPAN("d"), SPAN("sd"), 40}};
    assert_true(apply(0, "e", STORE_POS_NONE, 1, 1, writes, 4));
    struct store_load found = load(0, NULL, 0, 40, 2);
    assert_int_equal(found.due_count, 2);
    assert_span(found.due_ids[0], "a");
    assert_span(found.due_ids[1], "b");
    assert_span(found.due_states[1], "sb");
    assert_true(found.next_wake_at == 30);
    found = load(0, NULL, 0, 40, 10);
    assert_int_equal(found.due_count, 3);
    assert_true(found.next_wake_at == 40);
    found = load(0, NULL, 0, INT64_C(1795318549169), 10);
    assert_int_equal(found.due_count, 4);
    assert_true(found.next_wake_at == NEVER);
    found = load(0, NULL, 0, 40, 0);
    assert_int_equal(found.due_count, 0);
    assert_true(found.next_wake_at == 20);
}

static void the_last_write_of_a_customer_counts(void **state)
{
    NEEDS_SERVER();
    take(0, "e");
    struct store_write writes[] = {{SPAN("a"), SPAN("1"), NEVER},
                                   {SPAN("b"), SPAN("1"), 9},
                                   {SPAN("a"), SPAN("2"), 7},
                                   {SPAN("b"), SPAN("2"), NEVER}};
    assert_true(apply(0, "e", STORE_POS_NONE, 1, 1, writes, 4));
    struct store_load found = load(0, NULL, 0, 100, 10);
    assert_int_equal(found.due_count, 1);
    assert_span(found.due_ids[0], "a");
    assert_span(found.due_states[0], "2");
}

static void many_customers_and_shards_go_in_one_call(void **state)
{
    NEEDS_SERVER();
    enum { MANY = 1700 };
    static struct store_write writes[MANY];
    static struct span ids[MANY];
    for (int i = 0; i < MANY; i++) {
        ids[i] = numbered("customer-", i);
        writes[i] = (struct store_write){ids[i], numbered("state-", i), i};
    }
    take(1, "e");
    take(2, "f");
    struct store_apply applies[] = {{.shard = 1,
                                     .epoch = SPAN("e"),
                                     .pos_expected = STORE_POS_NONE,
                                     .pos = 5,
                                     .seq = 1,
                                     .last = SPAN("x"),
                                     .writes = writes,
                                     .write_count = MANY},
                                    {.shard = 2,
                                     .epoch = SPAN("wrong"),
                                     .pos_expected = STORE_POS_NONE,
                                     .pos = 5,
                                     .seq = 1,
                                     .last = SPAN("x"),
                                     .writes = writes,
                                     .write_count = MANY}};
    assert_int_equal(store_apply(&store, applies, 2), WORLD_DONE);
    assert_true(applies[0].applied);
    assert_false(applies[1].applied);
    struct store_load loads[] = {{.shard = 1, .ids = ids, .id_count = MANY, .due_before = 10, .due_max = 100},
                                 {.shard = 2, .ids = ids, .id_count = 1, .due_before = 10, .due_max = 100}};
    int64_t server_ms;
    assert_int_equal(store_load(&store, loads, 2, &arena, &server_ms), WORLD_DONE);
    for (int i = 0; i < MANY; i++)
        assert_true(span_equal(loads[0].states[i], writes[i].state));
    assert_int_equal(loads[0].due_count, 10);
    assert_true(loads[0].next_wake_at == 10);
    assert_true(span_empty(loads[1].states[0]) && loads[1].due_count == 0);
}

static void forgotten_scripts_are_sent_again(void **state)
{
    NEEDS_SERVER();
    take(0, "e");
    command("SCRIPT FLUSH");
    struct store_write write = {SPAN("a"), SPAN("1"), 5};
    assert_true(apply(0, "e", STORE_POS_NONE, 1, 1, &write, 1));
    struct span id = SPAN("a");
    assert_span(load(0, &id, 1, 0, 1).states[0], "1");
}

static void a_wiped_server_shows_in_the_meta(void **state)
{
    NEEDS_SERVER();
    take(0, "e");
    struct store_write write = {SPAN("a"), SPAN("1"), 5};
    assert_true(apply(0, "e", STORE_POS_NONE, 1, 1, &write, 1));
    command("FLUSHALL");
    struct span id = SPAN("a");
    struct store_load found = load(0, &id, 1, 10, 10);
    assert_true(span_empty(found.epoch) && found.pos == STORE_POS_NONE && found.seq == 0);
    assert_false(apply(0, "e", 1, 2, 2, &write, 1));
}

static void a_restarted_server_is_found_again(void **state)
{
    NEEDS_SERVER();
    take(0, "e");
    server_stop();
    struct store_meta meta;
    assert_int_equal(store_read_meta(&store, 0, &arena, &meta), WORLD_RECOVER);
    assert_non_null(strstr(store_error_text(&store), socket_url));
    assert_int_equal(store_check(&store), WORLD_AGAIN); /* nothing listens: nothing has happened */
    assert_true(server_start());
    assert_int_equal(store_read_meta(&store, 0, &arena, &meta), WORLD_DONE);
    assert_true(span_empty(meta.epoch));
}

static void drop_forgets_one_shard(void **state)
{
    NEEDS_SERVER();
    struct store_write writes[] = {{SPAN("a"), SPAN("1"), 5}, {SPAN("b"), SPAN("1"), 6}};
    take(1, "e");
    take(11, "e");
    assert_true(apply(1, "e", STORE_POS_NONE, 1, 1, writes, 2));
    assert_true(apply(11, "e", STORE_POS_NONE, 1, 1, writes, 2));
    assert_int_equal(store_drop(&store, 1), WORLD_DONE);
    struct span ids[] = {SPAN("a"), SPAN("b")};
    struct store_load found = load(1, ids, 2, 100, 10);
    assert_true(span_empty(found.states[0]) && span_empty(found.states[1]) && found.due_count == 0);
    assert_true(found.pos == STORE_POS_NONE);
    assert_int_equal(load(11, ids, 2, 100, 10).due_count, 2);
}

static void an_evicting_server_is_refused(void **state)
{
    NEEDS_SERVER();
    assert_int_equal(store_check(&store), WORLD_DONE);
    command("CONFIG SET maxmemory-policy allkeys-lru");
    assert_int_equal(store_check(&store), WORLD_STOP);
    assert_non_null(strstr(store_error_text(&store), "noeviction"));
    command("CONFIG SET maxmemory-policy noeviction");
    assert_int_equal(store_check(&store), WORLD_DONE);
}

static enum world check_at(const char *url, const char *user, const char *password)
{
    struct config other = config;
    struct store at = {0};
    struct buffer error = {0};
    other.redis_url = url;
    other.redis_user = user;
    other.redis_password = password;
    enum world world = store_redis_open(&other, &at, &error);
    if (world == WORLD_DONE) {
        world = store_check(&at);
        store_close(&at);
    }
    buffer_release(&error);
    return world;
}

static void addresses_and_passwords(void **state)
{
    NEEDS_SERVER();
    char url[128];
    command("ACL SETUSER worker on >pw ~* &* +@all");
    snprintf(url, sizeof(url), "redis://127.0.0.1:%d", port);
    assert_int_equal(check_at(url, "", ""), WORLD_DONE);
    assert_int_equal(check_at(url, "worker", "pw"), WORLD_DONE);
    assert_int_equal(check_at(url, "worker", "wrong"), WORLD_STOP);
    snprintf(url, sizeof(url), "redis://worker:pw@localhost:%d/3", port);
    assert_int_equal(check_at(url, "", ""), WORLD_DONE);
    assert_int_equal(check_at("redis://127.0.0.1:port", "", ""), WORLD_STOP);
#ifndef ORIORI_REDIS_TLS
    assert_int_equal(check_at("rediss://127.0.0.1", "", ""), WORLD_STOP);
#endif
    snprintf(url, sizeof(url), "redis-cluster://127.0.0.1:%d", port); /* but it is none */
    assert_int_equal(check_at(url, "", ""), WORLD_STOP);
    snprintf(url, sizeof(url), "redis-sentinel://127.0.0.1:%d/m", port); /* but it is none */
    assert_int_equal(check_at(url, "", ""), WORLD_AGAIN);
    assert_int_equal(check_at("127.0.0.1:6379", "", ""), WORLD_STOP);
    assert_int_equal(check_at("unix:/nowhere/socket", "", ""), WORLD_AGAIN);
}

/* A server may refuse one chunk and take the next. Were pos to pass over the refused one, its customers would be
 * missing for good. Forced by a user who may not write the first chunk's customer. */
static void a_refused_part_keeps_the_position(void **state)
{
    enum { COUNT = 1200 };
    static char ids[COUNT][8];
    struct store_write writes[COUNT];
    struct store_meta meta;
    struct store guarded = {0};
    struct config other = config;
    struct buffer error = {0};
    NEEDS_SERVER();
    command("ACL SETUSER guarded on >pw +@all ~crm:{5}:meta ~crm:{5}:wake ~crm:{5}:c:a*");
    other.redis_user = "guarded";
    other.redis_password = "pw";
    assert_int_equal(store_redis_open(&other, &guarded, &error), WORLD_DONE);
    assert_int_equal(store_take(&guarded, 5, SPAN("e1"), SPAN("w"), SPAN("i"), &arena, &meta), WORLD_DONE);
    for (int i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof(ids[i]), "a%d", i);
        writes[i] = (struct store_write){span_of(ids[i]), SPAN("state"), NEVER};
    }
    writes[COUNT - 1].customer_id = SPAN("b"); /* the last write comes in the first chunk */
    struct store_apply apply = {.shard = 5,
                                .epoch = SPAN("e1"),
                                .pos_expected = STORE_POS_NONE,
                                .pos = 9,
                                .seq = 2,
                                .last = SPAN("meta"),
                                .writes = writes,
                                .write_count = COUNT};
    assert_int_equal(store_apply(&guarded, &apply, 1), WORLD_STOP);
    assert_int_equal(store_read_meta(&store, 5, &arena, &meta), WORLD_DONE);
    assert_int_equal(meta.pos, STORE_POS_NONE);
    assert_int_equal(store_apply(&store, &apply, 1), WORLD_DONE); /* by one who may */
    assert_true(apply.applied);
    assert_int_equal(store_read_meta(&store, 5, &arena, &meta), WORLD_DONE);
    assert_int_equal(meta.pos, 9);
    store_close(&guarded);
}

/* ---- histories ---- */

static bool add_entries(int64_t pos, size_t kept, const struct store_entry *entries, size_t count,
                        const struct store_place *place)
{
    struct store_apply request = {.shard = 4,
                                  .epoch = SPAN("e"),
                                  .pos_expected = pos,
                                  .pos = pos,
                                  .seq = 1,
                                  .entries = entries,
                                  .entry_count = count,
                                  .entries_kept = kept,
                                  .place = place};
    assert_int_equal(store_apply(&store, &request, 1), WORLD_DONE);
    return request.applied;
}

/* The values of his history, with blanks between; at most max of them. */
static const char *history_of(const char *customer, size_t max)
{
    static char text[4096];
    struct span *values;
    size_t count = 0, size = 0;
    text[0] = '\0';
    assert_int_equal(store_history(&store, 4, span_of(customer), max, &arena, &values, &count), WORLD_DONE);
    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s", i ? " " : "", (int)values[i].size,
                                 values[i].data);
    return text;
}

static void histories_begin(void)
{
    const struct store_write writes[] = {{SPAN("a"), SPAN("s"), NEVER}, {SPAN("b"), SPAN("s"), NEVER}};
    take(4, "e");
    assert_true(apply(4, "e", STORE_POS_NONE, 5, 1, writes, 2));
}

static void a_history_keeps_the_newest_entries_once_each(void **state)
{
    static const struct store_entry entries[] = {{SPAN("a"), 1, SPAN("a1")},
                                                 {SPAN("a"), 3, SPAN("a3:x")},
                                                 {SPAN("b"), 7, SPAN("b7")},
                                                 {SPAN("a"), 12, SPAN("a12")},
                                                 {SPAN("a"), 13, SPAN("a13")}};
    NEEDS_SERVER();
    histories_begin();
    assert_true(add_entries(5, 3, entries, 3, NULL));
    assert_string_equal(history_of("a", 10), "a1 a3:x");
    assert_true(add_entries(5, 3, entries, 3, NULL)); /* again, as after an answer that was lost */
    assert_string_equal(history_of("a", 10), "a1 a3:x");
    assert_true(add_entries(5, 3, entries, 5, NULL)); /* some of it new */
    assert_string_equal(history_of("a", 10), "a3:x a12 a13");
    assert_string_equal(history_of("a", 2), "a12 a13");
    assert_string_equal(history_of("b", 10), "b7");
    assert_string_equal(history_of("c", 10), "");
}

static void a_history_is_guarded_like_the_states(void **state)
{
    static const struct store_entry entry = {SPAN("a"), 1, SPAN("a1")};
    static const struct store_place place = {9, 1, 3};
    struct store_meta meta;
    NEEDS_SERVER();
    histories_begin();
    assert_false(add_entries(4, 3, &entry, 1, &place)); /* somebody was here since */
    take(4, "f");                                       /* somebody is here now */
    assert_false(add_entries(5, 3, &entry, 1, &place));
    assert_string_equal(history_of("a", 10), "");
    assert_int_equal(store_read_meta(&store, 4, &arena, &meta), WORLD_DONE);
    assert_true(meta.place.next == STORE_POS_NONE && meta.place.seq == 0);
    take(4, "e");
    assert_true(add_entries(5, 3, &entry, 1, &place));
    assert_int_equal(store_read_meta(&store, 4, &arena, &meta), WORLD_DONE);
    assert_true(meta.place.next == 9 && meta.place.seq == 1 && meta.place.max == 3);
    assert_true(add_entries(5, 3, NULL, 0, NULL)); /* says nothing about it */
    assert_int_equal(store_read_meta(&store, 4, &arena, &meta), WORLD_DONE);
    assert_true(meta.place.next == 9);
}

static void a_history_goes_with_an_erasure_and_with_the_shard(void **state)
{
    static const struct store_entry entries[] = {
        {SPAN("a"), 1, SPAN("a1")}, {SPAN("b"), 1, SPAN("b1")}, {.customer_id = SPAN("a")}};
    NEEDS_SERVER();
    histories_begin();
    assert_true(add_entries(5, 3, entries, 2, NULL));
    assert_true(add_entries(5, 3, entries + 2, 1, NULL));
    assert_string_equal(history_of("a", 10), "");
    assert_string_equal(history_of("b", 10), "b1");
    assert_int_equal(store_drop(&store, 4), WORLD_DONE);
    assert_string_equal(history_of("b", 10), "");
}

/* More entries than one script takes, and more than there are states: the place comes with the last part. */
static void many_entries_go_in_parts(void **state)
{
    enum { COUNT = 1300 };
    static struct store_entry entries[COUNT];
    static const struct store_place place = {COUNT, 1, 1000};
    struct store_meta meta;
    struct span *values;
    size_t count;
    NEEDS_SERVER();
    histories_begin();
    for (int i = 0; i < COUNT; i++)
        entries[i] = (struct store_entry){i % 10 ? SPAN("a") : numbered("c", i), i + 1, numbered("", i)};
    assert_true(add_entries(5, 1000, entries, COUNT, &place));
    assert_int_equal(store_history(&store, 4, SPAN("a"), COUNT, &arena, &values, &count), WORLD_DONE);
    assert_int_equal(count, 1000); /* of 1170 */
    assert_span(values[count - 1], "1299");
    assert_span(values[0], "189");
    assert_int_equal(store_history(&store, 4, SPAN("c1290"), COUNT, &arena, &values, &count), WORLD_DONE);
    assert_int_equal(count, 1);
    assert_int_equal(store_read_meta(&store, 4, &arena, &meta), WORLD_DONE);
    assert_int_equal(meta.place.next, COUNT);
}

/* ---- rights ---- */

/* The user's line of deploy/README.md, from its rights on. */
static void read_rights(char *ret_rights, size_t capacity)
{
    static const char head[] = "    user oriori on >PASSWORD ";
    char line[1024] = "";
    FILE *file = fopen(ORIORI_SOURCE_DIR "/deploy/README.md", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) && strncmp(line, head, sizeof(head) - 1) != 0)
        ;
    fclose(file);
    assert_int_equal(strncmp(line, head, sizeof(head) - 1), 0);
    line[strcspn(line, "\n")] = '\0';
    snprintf(ret_rights, capacity, "%s", line + sizeof(head) - 1);
}

/* Every call of the seam once; the first outcome that is not DONE. */
static enum world use_all(struct store *at)
{
    struct store_meta meta;
    struct span text, ids[] = {SPAN("asleep"), SPAN("awake")};
    int64_t server_ms;
    struct store_write writes[] = {{ids[0], SPAN("s"), NEVER}, {ids[1], SPAN("s"), 50}};
    struct store_entry entries[] = {{ids[0], 1, SPAN("d")}, {.customer_id = ids[1]}};
    struct span *values;
    size_t count;
    struct store_apply apply = {.shard = 6,
                                .epoch = SPAN("e"),
                                .pos_expected = STORE_POS_NONE,
                                .pos = 9,
                                .seq = 2,
                                .last = SPAN("meta"),
                                .writes = writes,
                                .write_count = 2,
                                .entries = entries,
                                .entry_count = 2,
                                .entries_kept = 1};
    struct store_load load = {.shard = 6, .ids = ids, .id_count = 2, .due_before = 100, .due_max = 10};
    enum world world = store_check(at);
    if (world == WORLD_DONE)
        world = store_drop(at, 6);
    if (world == WORLD_DONE)
        world = store_take(at, 6, SPAN("e"), SPAN("w"), SPAN("i"), &arena, &meta);
    if (world == WORLD_DONE)
        world = store_apply(at, &apply, 1);
    if (world == WORLD_DONE)
        world = store_load(at, &load, 1, &arena, &server_ms);
    if (world == WORLD_DONE)
        world = store_read_meta(at, 6, &arena, &meta);
    if (world == WORLD_DONE)
        world = store_customer(at, 6, ids[0], &arena, &text);
    if (world == WORLD_DONE)
        world = store_history(at, 6, ids[0], 10, &arena, &values, &count);
    if (world == WORLD_DONE)
        world = store_note_write(at, 6, SPAN("n"), SPAN("text"));
    if (world == WORLD_DONE)
        world = store_note_write(at, 6, SPAN("n"), SPAN_NONE);
    return world;
}

/* As the user with these rights; what it said in *ret_text. */
static enum world use_with(const char *rights, char *ret_text, size_t capacity)
{
    char setuser[1200];
    struct config other = config;
    struct store at = {0};
    struct buffer error = {0};
    snprintf(setuser, sizeof(setuser), "ACL SETUSER oriori reset on >pw %s", rights);
    command(setuser);
    other.redis_user = "oriori";
    other.redis_password = "pw";
    assert_int_equal(store_redis_open(&other, &at, &error), WORLD_DONE);
    enum world world = use_all(&at);
    snprintf(ret_text, capacity, "%s", store_error_text(&at));
    store_close(&at);
    return world;
}

static void exactly_the_rights_of_the_readme_are_needed(void **state)
{
    static const char elsewhere[] = " +role +cluster|slots +asking "; /* sentinel, cluster: suite reach */
    char rights[1024], fewer[1024], text[512];
    int needed = 0;
    NEEDS_SERVER();
    read_rights(rights, sizeof(rights));
    assert_int_equal(use_with(rights, text, sizeof(text)), WORLD_DONE);
    for (const char *plus = strchr(rights, '+'); plus; plus = strchr(plus + 1, '+')) {
        int size = (int)strcspn(plus, " ");
        char name[64];
        snprintf(name, sizeof(name), " %.*s ", size, plus);
        if (strstr(elsewhere, name))
            continue;
        snprintf(fewer, sizeof(fewer), "%.*s%s", (int)(plus - rights), rights, plus + size);
        enum world world = use_with(fewer, text, sizeof(text));
        snprintf(name, sizeof(name), "'%.*s'", size - 1, plus + 1);
        if (world != WORLD_STOP || (strstr(text, name) == NULL && strstr(text, "a right that a script needs") == NULL))
            fail_msg("without %s: outcome %d, %s", name, world, text);
        needed++;
    }
    assert_true(needed > 10);
    assert_int_equal(use_with("~other:* -@all +@all", text, sizeof(text)), WORLD_STOP); /* and the keys */
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)

static void a_note_is_by_shard_and_name_and_goes_when_emptied(void **state)
{
    struct span text;
    NEEDS_SERVER();
    assert_int_equal(store_note_write(&store, 3, SPAN("crm.orders/3"), SPAN("first")), WORLD_DONE);
    assert_int_equal(store_note_write(&store, 3, SPAN("crm.orders/3"), SPAN("17 1 2 ab")), WORLD_DONE);
    assert_int_equal(store_note_read(&store, 3, SPAN("crm.orders/3"), &arena, &text), WORLD_DONE);
    assert_true(span_equal(text, SPAN("17 1 2 ab")));
    assert_int_equal(store_note_read(&store, 4, SPAN("crm.orders/3"), &arena, &text), WORLD_DONE);
    assert_true(span_empty(text));
    assert_int_equal(store_note_write(&store, 3, SPAN("crm.orders/3"), SPAN_NONE), WORLD_DONE);
    assert_int_equal(store_note_read(&store, 3, SPAN("crm.orders/3"), &arena, &text), WORLD_DONE);
    assert_true(span_empty(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_new_shard_is_empty_and_can_be_taken),
        STORE_TEST(another_shops_shard_is_not_taken),
        STORE_TEST(what_is_applied_is_loaded),
        STORE_TEST(apply_needs_the_epoch_and_the_position),
        STORE_TEST(due_customers_come_earliest_first),
        STORE_TEST(the_last_write_of_a_customer_counts),
        STORE_TEST(many_customers_and_shards_go_in_one_call),
        STORE_TEST(forgotten_scripts_are_sent_again),
        STORE_TEST(a_wiped_server_shows_in_the_meta),
        STORE_TEST(a_restarted_server_is_found_again),
        STORE_TEST(drop_forgets_one_shard),
        STORE_TEST(an_evicting_server_is_refused),
        STORE_TEST(addresses_and_passwords),
        STORE_TEST(a_refused_part_keeps_the_position),
        STORE_TEST(a_history_keeps_the_newest_entries_once_each),
        STORE_TEST(a_history_is_guarded_like_the_states),
        STORE_TEST(a_history_goes_with_an_erasure_and_with_the_shard),
        STORE_TEST(many_entries_go_in_parts),
        STORE_TEST(exactly_the_rights_of_the_readme_are_needed),
        STORE_TEST(a_note_is_by_shard_and_name_and_goes_when_emptied),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
