#define _GNU_SOURCE /* pipe2, environ, posix_spawn_file_actions_addclosefrom_np */
#include "workers/lifecycle/playbook_file.h"

#include "common/base/hash.h"
#include "common/io/data_file.h"
#include "common/io/logger.h"
#include "workers/subcommand.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_MS = 2000,        /* a file is taken once it looked the same twice, so within 4 s */
    RETRY_FIRST_MS = 1000, /* and up to as much again by lot: many workers want the same */
    RETRY_MOST_MS = 60000,
    END_MS = 2000, /* for a child in the middle of its transaction: left open it would hold up all shards for a while */
    END_POLL_MS = 50,
    CHILD_MS = 120000, /* longer than its own waits for servers taken together */
    ARGUMENT_SIZE = 24,
    SAID_MAX = 64 * 1024 /* of what a child writes; more is read and dropped */
};

void playbook_file_init(struct playbook_file *file, const char *program, const char *path, const char *config_path,
                        const char *of, bool watched, const unsigned char hash[32])
{
    *file = (struct playbook_file){.program = program,
                                   .path = path,
                                   .config_path = config_path,
                                   .of = of,
                                   .watched = watched,
                                   .out = -1,
                                   .err = -1};
    memcpy(file->hash, hash, sizeof(file->hash));
    (void)stat(path, &file->seen); /* a change since it was read is found by its text */
    file->seen.st_ino = 0;         /* so that the first look reads it */
}

static void child_forget(struct playbook_file *file)
{
    if (file->out >= 0)
        close(file->out);
    if (file->err >= 0)
        close(file->err);
    file->out = file->err = -1;
    file->child = 0;
    buffer_reset(&file->said);
    buffer_reset(&file->complained);
}

static void take_in(int fd, struct buffer *buffer)
{
    char bytes[4096];
    for (ssize_t size; (size = read(fd, bytes, sizeof(bytes))) > 0;)
        if (buffer->size < SAID_MAX)
            buffer_add(buffer, bytes, (size_t)size);
}

static bool child_ended_within(struct playbook_file *file, int milliseconds)
{
    for (int waited = 0; waited < milliseconds; waited += END_POLL_MS) {
        take_in(file->out, &file->said); /* or it would wait for us */
        take_in(file->err, &file->complained);
        if (waitpid(file->child, NULL, WNOHANG) != 0)
            return true;
        nanosleep(&(struct timespec){0, END_POLL_MS * 1000000L}, NULL);
    }
    return false;
}

void playbook_file_release(struct playbook_file *file)
{
    if (file->child && !child_ended_within(file, END_MS)) {
        kill(file->child, SIGKILL);
        waitpid(file->child, NULL, 0);
    }
    child_forget(file);
    buffer_release(&file->said);
    buffer_release(&file->complained);
}

/* ---- the child ---- */

static bool pipe_open(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    fcntl(ends[0], F_SETFL, O_NONBLOCK); /* the child's end blocks: it writes like to any file */
    return true;
}

static int child_spawn(struct playbook_file *file, int out, int err)
{
    char after[ARGUMENT_SIZE];
    snprintf(after, sizeof(after), "%lld", (long long)file->stands_for);
    char *const arguments[] = {
        "oriori",     "playbook", "activate",       (char *)file->path, "--config", (char *)file->config_path,
        "--no-count", "--of",     (char *)file->of, "--unless-after",   after,      NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE); /* ignored here, and that would be inherited */
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1); /* no connection of ours */
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    int failure = posix_spawn(&file->child, file->program, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

static void try_later(struct playbook_file *file, int64_t now)
{
    uint32_t lot = 0;
    (void)!getrandom(&lot, sizeof(lot), GRND_NONBLOCK);
    file->retry_ms = file->retry_ms ? file->retry_ms * 2 : RETRY_FIRST_MS;
    if (file->retry_ms > RETRY_MOST_MS)
        file->retry_ms = RETRY_MOST_MS;
    file->retry_at = now + file->retry_ms + lot % file->retry_ms;
}

static void child_start(struct playbook_file *file, int64_t now)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    int failure = pipe_open(out) && pipe_open(err) ? child_spawn(file, out[1], err[1]) : errno;
    for (int end = 0; end < 2; end++) {
        int *ends = end ? err : out;
        if (ends[1] >= 0)
            close(ends[1]);
    }
    file->out = out[0];
    file->err = err[0];
    file->kill_at = now + CHILD_MS;
    if (failure == 0)
        return;
    logger(CONFIG_LEVEL_ERROR, "the playbook file has changed, but no process can be started for it",
           LOG_TEXT("file", file->path), LOG_TEXT("reason", strerror(failure)));
    file->child = 0;
    child_forget(file);
    try_later(file, now);
}

/* ---- what came of it ---- */

/* Each line of the text, in order; its end becomes a NUL. */
static char *line_next(char **rest)
{
    char *line = *rest;
    while (line && *line == '\n')
        line++;
    if (!line || !*line)
        return NULL;
    char *end = strchr(line, '\n');
    *rest = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    return line;
}

static void say_lines(struct playbook_file *file, struct buffer *text, enum config_level level)
{
    long long number;
    char *rest = (char *)text->data, *line;
    while ((line = line_next(&rest)) != NULL) {
        logger(level, line, LOG_TEXT("file", file->path));
        if (sscanf(line, "activation %lld:", &number) == 1)
            file->stands_for = number;
    }
}

/* One line of what was complained about. */
static void say_why(struct playbook_file *file, enum config_level level, const char *message)
{
    struct buffer why = {0};
    char *rest = (char *)file->complained.data, *line;
    while ((line = line_next(&rest)) != NULL)
        buffer_format(&why, "%s%s", why.size ? "; " : "", line);
    logger(level, message, LOG_TEXT("file", file->path), LOG_TEXT("reason", why.size ? why.data : "it said nothing"));
    buffer_release(&why);
}

/* A crash is the text's fault, as far as one can tell; a process that was ended from outside says nothing about it, nor
 * does one that could not read the config, which may be just being changed. */
static bool is_refused(int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == EXIT_REFUSED;
    return signal == SIGSEGV || signal == SIGABRT || signal == SIGBUS || signal == SIGFPE || signal == SIGILL;
}

static void dealt_with(struct playbook_file *file, struct worker *worker)
{
    memcpy(file->hash, file->tried, sizeof(file->hash));
    memcpy(worker->file_hash, file->tried, sizeof(worker->file_hash));
    file->retry_ms = 0;
}

static void child_settle(struct playbook_file *file, struct worker *worker, int status, int64_t now)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE) {
        say_lines(file, &file->said, CONFIG_LEVEL_INFO);
        say_lines(file, &file->complained, CONFIG_LEVEL_WARN);
        file->learned = true;
        dealt_with(file, worker);
    } else if (is_refused(status)) {
        say_why(file, CONFIG_LEVEL_ERROR, "the changed playbook file was refused: what is in force stays");
        dealt_with(file, worker);
    } else {
        bool first = file->retry_ms == 0; /* mostly a peer that does the same at this moment */
        try_later(file, now);
        say_why(file, first ? CONFIG_LEVEL_INFO : CONFIG_LEVEL_WARN,
                "the changed playbook file was not put in force yet: tried again soon");
    }
    child_forget(file);
}

static void child_turn(struct playbook_file *file, struct worker *worker, int64_t now)
{
    int status;
    pid_t ended = waitpid(file->child, &status, WNOHANG); /* before the last look at what it wrote */
    if (ended < 0) /* somebody else was told; the number may be another process's by now */
        status = W_EXITCODE(EXIT_AGAIN, 0);
    take_in(file->out, &file->said);
    take_in(file->err, &file->complained);
    if (ended != 0)
        child_settle(file, worker, status, now);
    else if (now >= file->kill_at)
        kill(file->child, SIGKILL); /* the next turn sees it gone */
}

/* ---- the file ---- */

static bool same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Another file than was read last, and no more written to. A ConfigMap's changes are another file behind a link. */
static bool is_worth_reading(struct playbook_file *file, int64_t now)
{
    struct stat found;
    if (now < file->look_at)
        return false;
    file->look_at = now + LOOK_MS;
    if (stat(file->path, &found) != 0)
        return !file->missing;
    bool settled = same_stat(&found, &file->glimpsed);
    file->glimpsed = found;
    return settled && !same_stat(&found, &file->seen);
}

static bool text_hash(struct playbook_file *file, unsigned char ret_hash[32])
{
    struct buffer text = {0};
    bool good = stat(file->path, &file->seen) == 0 && file_read(file->path, &text);
    if (good)
        hash_sha256(buffer_span(&text), ret_hash);
    else
        logger(CONFIG_LEVEL_WARN, "the playbook file cannot be read", LOG_TEXT("file", file->path),
               LOG_TEXT("reason", strerror(errno)));
    file->missing = !good;
    buffer_release(&text);
    return good;
}

static void look(struct playbook_file *file, int64_t now)
{
    bool asked = file->asked;
    file->asked = false;
    file->retry_at = 0;
    if (!text_hash(file, file->tried))
        return;
    if (memcmp(file->tried, file->hash, sizeof(file->hash)) != 0)
        child_start(file, now);
    else if (asked)
        logger(CONFIG_LEVEL_INFO, "the playbook file is as it was: nothing to do", LOG_TEXT("file", file->path));
}

/* Once, as soon as the worker knows where its shards are: later the text may have been put in force again meanwhile.
 * Of shards on their way the earlier. Not in force: 0, so that what was ever activated counts as later. */
static void learn(struct playbook_file *file, const struct worker *worker)
{
    int64_t found = 0;
    for (int32_t h = 0; h < worker->config.shard_count; h++) {
        const struct shard *shard = &worker->shards[h];
        if (shard->phase == SHARD_READY && memcmp(shard->control.playbook_hash, file->hash, sizeof(file->hash)) == 0 &&
            (found == 0 || shard->control.activation < found))
            found = shard->control.activation;
    }
    file->stands_for = found;
    file->learned = true;
}

void playbook_file_turn(struct playbook_file *file, struct worker *worker, int64_t now, bool asked)
{
    file->asked = file->asked || asked;
    if (!file->learned && worker_ready(worker))
        learn(file, worker);
    if (file->child)
        child_turn(file, worker, now);
    else if (file->asked || (file->retry_at && now >= file->retry_at) || (file->watched && is_worth_reading(file, now)))
        look(file, now);
}
