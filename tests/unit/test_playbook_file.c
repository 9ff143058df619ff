/* Following the playbook file: when the command is run, with what, and what its answers lead to. The command is a
 * script here; the real one is in the suite `kafka` (a changed playbook file is activated once). */
#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/io/logger.h"
#include "workers/lifecycle/playbook_file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = 128, START_MS = 1000000, SHARDS = 2, REAL_WAIT_MS = 60000, POLL_MS = 5 };

struct fixture {
    char folder[PATH_SIZE], program[PATH_SIZE], playbook[PATH_SIZE], calls[PATH_SIZE];
    struct playbook_file file;
    struct worker worker;
    struct shard shards[SHARDS];
    int64_t now;
};

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(0, fclose(out));
}

/* As kubelet and careful editors do: another file under the name. */
static void replace_text(struct fixture *fixture, const char *text)
{
    char other[PATH_SIZE + 8];
    snprintf(other, sizeof(other), "%s.new", fixture->playbook);
    write_text(other, text);
    assert_int_equal(0, rename(other, fixture->playbook));
}

/* What the command does from now on; what it was called with is kept. */
static void program_does(struct fixture *fixture, const char *what)
{
    char script[1024];
    snprintf(script, sizeof(script), "#!/bin/sh\necho \"$@\" >>%s\n%s\n", fixture->calls, what);
    unlink(fixture->program);
    write_text(fixture->program, script);
    assert_int_equal(0, chmod(fixture->program, 0700));
}

static int call_count(const struct fixture *fixture)
{
    FILE *in = fopen(fixture->calls, "r");
    int count = 0;
    for (int c; in && (c = fgetc(in)) != EOF;)
        count += c == '\n';
    if (in)
        fclose(in);
    return count;
}

static bool last_call_has(const struct fixture *fixture, const char *words)
{
    char line[512] = "";
    FILE *in = fopen(fixture->calls, "r");
    assert_non_null(in);
    while (fgets(line, sizeof(line), in))
        ;
    fclose(in);
    return strstr(line, words) != NULL;
}

/* Whole turns until the command, if one was started, has ended. */
static void turn(struct fixture *fixture, bool asked)
{
    playbook_file_turn(&fixture->file, &fixture->worker, fixture->now, asked);
    for (int waited = 0; fixture->file.child; waited += POLL_MS) {
        assert_true(waited < REAL_WAIT_MS);
        nanosleep(&(struct timespec){0, POLL_MS * 1000000}, NULL);
        playbook_file_turn(&fixture->file, &fixture->worker, fixture->now, false);
    }
}

/* Asked to look, it starts the command; nobody waits for that. */
static pid_t command_begins(struct fixture *fixture)
{
    playbook_file_turn(&fixture->file, &fixture->worker, fixture->now, true);
    assert_true(fixture->file.child > 0);
    return fixture->file.child;
}

static bool is_at(const struct fixture *fixture, const char *text)
{
    unsigned char hash[32];
    hash_sha256(span_of(text), hash);
    return memcmp(hash, fixture->file.hash, sizeof(hash)) == 0 &&
           memcmp(hash, fixture->worker.file_hash, sizeof(hash)) == 0;
}

static void begin(struct fixture *fixture, bool watched)
{
    unsigned char hash[32];
    *fixture = (struct fixture){.now = START_MS};
    logger_init(CONFIG_LEVEL_ERROR, CONFIG_FORMAT_JSON);
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/oriori-follow-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->program, sizeof(fixture->program), "%.64s/program", fixture->folder);
    snprintf(fixture->playbook, sizeof(fixture->playbook), "%.64s/playbook.yaml", fixture->folder);
    snprintf(fixture->calls, sizeof(fixture->calls), "%.64s/calls", fixture->folder);
    write_text(fixture->playbook, "first");
    hash_sha256(SPAN("first"), hash);
    playbook_file_init(&fixture->file, fixture->program, fixture->playbook, "worker.yaml", "crm/2/crm.", watched, hash);
    fixture->worker = (struct worker){.shards = fixture->shards, .assigned = true};
    fixture->worker.config.shard_count = SHARDS;
    memcpy(fixture->worker.file_hash, hash, sizeof(hash));
    for (int h = 0; h < SHARDS; h++) {
        fixture->shards[h] = (struct shard){.index = h, .phase = SHARD_READY, .control = {.activation = 4 + 2 * h}};
        memcpy(fixture->shards[h].control.playbook_hash, hash, sizeof(hash));
    }
    program_does(fixture, "echo 'activation 7: playbook x on all shards'");
}

static void end(struct fixture *fixture)
{
    playbook_file_release(&fixture->file);
    unlink(fixture->program);
    unlink(fixture->playbook);
    unlink(fixture->calls);
    assert_int_equal(0, rmdir(fixture->folder));
}

static void test_a_changed_text_is_activated_when_asked(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    turn(&fixture, true);
    assert_int_equal(0, call_count(&fixture)); /* as it was */
    replace_text(&fixture, "second");
    fixture.now += 60000;
    turn(&fixture, false);
    assert_int_equal(0, call_count(&fixture)); /* nobody asked */
    turn(&fixture, true);
    assert_int_equal(1, call_count(&fixture));
    assert_true(last_call_has(&fixture, "playbook activate "));
    assert_true(
        last_call_has(&fixture, "playbook.yaml --config worker.yaml --no-count --of crm/2/crm. --unless-after 4\n"));
    assert_true(is_at(&fixture, "second"));
    assert_int_equal(7, fixture.file.stands_for);
    turn(&fixture, true);
    assert_int_equal(1, call_count(&fixture));
    end(&fixture);
}

/* What the file before stood for is known once: the same text may be put in force again while this worker sleeps. */
static void test_what_the_text_stood_for_is_not_looked_up_again(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    turn(&fixture, false);
    fixture.shards[0].control.activation = fixture.shards[1].control.activation = 9;
    replace_text(&fixture, "second");
    turn(&fixture, true);
    assert_true(last_call_has(&fixture, "--unless-after 4\n"));
    end(&fixture);

    begin(&fixture, false); /* its text is not what the shards run: nobody knows */
    for (int h = 0; h < SHARDS; h++)
        fixture.shards[h].control.playbook_hash[0] ^= 1;
    turn(&fixture, false);
    replace_text(&fixture, "second");
    turn(&fixture, true);
    assert_true(last_call_has(&fixture, "--unless-after 0\n"));
    end(&fixture);
}

static void test_a_refused_text_is_not_tried_again(void **state)
{
    (void)state;
    static const char *const refusals[] = {"echo 'p.yaml:1:1: wrong' >&2; exit 65", "kill -SEGV $$", "kill -ABRT $$"};
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        struct fixture fixture;
        begin(&fixture, false);
        logger_level_set((enum config_level)(CONFIG_LEVEL_ERROR + 1)); /* the errors are meant */
        program_does(&fixture, refusals[i]);
        replace_text(&fixture, "broken");
        turn(&fixture, true);
        assert_int_equal(1, call_count(&fixture));
        assert_true(is_at(&fixture, "broken"));
        assert_int_equal(4, fixture.file.stands_for); /* still what came before */
        fixture.now += 1000000;
        turn(&fixture, false);
        turn(&fixture, true);
        assert_int_equal(1, call_count(&fixture));
        end(&fixture);
    }
}

static void test_what_the_world_did_not_let_is_tried_again_later(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    program_does(&fixture, "exit 75");
    replace_text(&fixture, "second");
    turn(&fixture, true);
    assert_in_range(fixture.file.retry_at - fixture.now, 1000, 2000);
    fixture.now = fixture.file.retry_at - 1;
    turn(&fixture, false);
    assert_int_equal(1, call_count(&fixture));
    assert_true(is_at(&fixture, "first"));
    program_does(&fixture, "kill -TERM $$"); /* ended from outside */
    fixture.now++;
    turn(&fixture, false);
    assert_int_equal(2, call_count(&fixture));
    assert_in_range(fixture.file.retry_at - fixture.now, 2000, 4000);
    program_does(&fixture, "echo activation 5: in force; echo late >&2");
    fixture.now = fixture.file.retry_at;
    turn(&fixture, false);
    assert_int_equal(3, call_count(&fixture));
    assert_true(is_at(&fixture, "second"));
    assert_int_equal(5, fixture.file.stands_for);
    fixture.now += 1000000;
    turn(&fixture, false);
    assert_int_equal(3, call_count(&fixture));
    end(&fixture);
}

/* A config that cannot be read for a moment says nothing about the text. */
static void test_no_other_failure_is_a_refusal(void **state)
{
    (void)state;
    static const char *const failures[] = {"echo 'worker.yaml:1: no such key' >&2; exit 1", "exit 2", "exit 127"};
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        struct fixture fixture;
        begin(&fixture, false);
        program_does(&fixture, failures[i]);
        replace_text(&fixture, "second");
        turn(&fixture, true);
        assert_true(is_at(&fixture, "first"));
        assert_true(fixture.file.retry_at > fixture.now);
        end(&fixture);
    }
}

/* An inherited disposition, or somebody else's wait: nobody tells how it ended. */
static void test_a_command_that_somebody_else_waited_for_is_tried_again(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    replace_text(&fixture, "second");
    pid_t child = command_begins(&fixture);
    assert_int_equal(child, waitpid(child, NULL, 0));
    fixture.now += 1000000; /* long due to be ended, but whose is the number now? */
    turn(&fixture, false);
    assert_int_equal(0, fixture.file.child);
    assert_true(is_at(&fixture, "first"));
    fixture.now = fixture.file.retry_at;
    turn(&fixture, false);
    assert_true(is_at(&fixture, "second"));
    end(&fixture);
}

/* SIGTERM in the middle of an activation. */
static void test_the_end_waits_for_the_command_a_little(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    program_does(&fixture, "echo finished >>$0.done");
    replace_text(&fixture, "second");
    playbook_file_turn(&fixture.file, &fixture.worker, fixture.now, true);
    playbook_file_release(&fixture.file);
    char done[PATH_SIZE + 8];
    snprintf(done, sizeof(done), "%s.done", fixture.program);
    assert_int_equal(0, unlink(done));
    assert_int_equal(0, fixture.file.child);
    program_does(&fixture, "exec sleep 600");
    pid_t child = command_begins(&fixture);
    playbook_file_release(&fixture.file);
    assert_int_equal(-1, kill(child, 0));
    end(&fixture);
}

static void test_a_command_that_hangs_is_ended(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, false);
    program_does(&fixture, "exec sleep 600");
    replace_text(&fixture, "second");
    pid_t child = command_begins(&fixture);
    fixture.now += 119999;
    playbook_file_turn(&fixture.file, &fixture.worker, fixture.now, true);
    assert_int_equal(child, fixture.file.child);
    fixture.now++;
    turn(&fixture, false);
    assert_true(fixture.file.retry_at > fixture.now);
    replace_text(&fixture, "first"); /* put back meanwhile */
    fixture.now = fixture.file.retry_at;
    int calls = call_count(&fixture);
    turn(&fixture, false);
    assert_int_equal(calls, call_count(&fixture));
    playbook_file_turn(&fixture.file, &fixture.worker, fixture.now, false);
    assert_int_equal(0, fixture.file.child);
    end(&fixture);
}

/* Looks come every two seconds; a file counts once it looked the same twice. */
static void test_a_watched_file_is_taken_when_it_stands_still(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, true);
    for (int i = 0; i < 4; i++, fixture.now += 2000)
        turn(&fixture, false);
    assert_int_equal(0, call_count(&fixture));
    replace_text(&fixture, "sec"); /* being written */
    turn(&fixture, false);
    fixture.now += 1999;
    turn(&fixture, false);
    assert_int_equal(0, call_count(&fixture));
    replace_text(&fixture, "second");
    fixture.now++;
    turn(&fixture, false);
    assert_int_equal(0, call_count(&fixture)); /* not as it was at the last look */
    fixture.now += 2000;
    turn(&fixture, false);
    assert_int_equal(1, call_count(&fixture));
    assert_true(is_at(&fixture, "second"));
    for (int i = 0; i < 4; i++, fixture.now += 2000)
        turn(&fixture, false);
    assert_int_equal(1, call_count(&fixture));
    unlink(fixture.playbook); /* gone for a while, and back as it was */
    for (int i = 0; i < 4; i++, fixture.now += 2000)
        turn(&fixture, false);
    assert_true(fixture.file.missing);
    replace_text(&fixture, "second");
    for (int i = 0; i < 4; i++, fixture.now += 2000)
        turn(&fixture, false);
    assert_int_equal(1, call_count(&fixture));
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_changed_text_is_activated_when_asked),
        cmocka_unit_test(test_what_the_text_stood_for_is_not_looked_up_again),
        cmocka_unit_test(test_a_refused_text_is_not_tried_again),
        cmocka_unit_test(test_what_the_world_did_not_let_is_tried_again_later),
        cmocka_unit_test(test_no_other_failure_is_a_refusal),
        cmocka_unit_test(test_a_command_that_somebody_else_waited_for_is_tried_again),
        cmocka_unit_test(test_a_command_that_hangs_is_ended),
        cmocka_unit_test(test_the_end_waits_for_the_command_a_little),
        cmocka_unit_test(test_a_watched_file_is_taken_when_it_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
