/* The config's playbook file while the worker runs: SIGHUP, or with `playbook_watch` a look every few seconds. When its
 * text is another than this worker dealt with last, `oriori playbook activate` is run on it, by this same program in a
 * process of its own: a text that breaks the compiler harms nobody, and the flow never waits. What it says goes to the
 * log.
 *
 * Many workers see the same change, early and late, and some restart in between; common/flow/README.md ("A file that
 * changes") has the reasons for what follows. One activation comes of it, because the command decides behind a fence
 * whether there is still something to do. And a late file never takes back what came after it, because it is told
 * which activation this worker's text before stood for: a text that was put in force since then has had its turn. At
 * the start nothing is activated.
 *
 * One thread; nothing here blocks for longer than reading the file. */
#ifndef ORIORI_WORKERS_LIFECYCLE_PLAYBOOK_FILE_H
#define ORIORI_WORKERS_LIFECYCLE_PLAYBOOK_FILE_H

#include "common/base/buffer.h"
#include "common/flow/worker.h"

#include <sys/stat.h>
#include <sys/types.h>

struct playbook_file {
    const char *program, *path, *config_path, *of; /* borrowed */
    bool watched;
    unsigned char hash[32];     /* of the text that was dealt with last; at first of the one this process began with */
    int64_t stands_for;         /* the activation of that text as of then; 0 = none, or nobody knows */
    bool learned;               /* stands_for was looked up */
    bool asked, missing;        /* a SIGHUP that is not answered yet; said that the file cannot be read */
    struct stat seen;           /* of the file when it was read last */
    struct stat glimpsed;       /* of the look before: a file that is just being written is left alone */
    int64_t look_at;            /* monotonic ms */
    int64_t retry_at, retry_ms; /* after a try that the world did not let; 0 = none */

    pid_t child; /* 0 = none */
    unsigned char tried[32];
    int out, err; /* what it writes; does not block */
    struct buffer said, complained;
    int64_t kill_at; /* monotonic ms */
};

/* program: ours, "/proc/self/exe". of: config_application, as this worker runs with: the command reads the config anew,
 * and it may have been changed. hash: of the text that the process began with. Release in any case. */
void playbook_file_init(struct playbook_file *file, const char *program, const char *path, const char *config_path,
                        const char *of, bool watched, const unsigned char hash[32]);
/* After each turn of the loop. asked: there was a SIGHUP. Keeps worker->file_hash. */
void playbook_file_turn(struct playbook_file *file, struct worker *worker, int64_t now, bool asked);
/* A child at work is waited for up to 2 s, then ended: its transaction happens, or it does not. */
void playbook_file_release(struct playbook_file *file);

#endif
