/* What the outside world answers. Every call through a seam (log.h, store.h) returns one of these and none may be
 * ignored. An implementation sorts its library's codes into them in ONE table; the loop (common/flow/loop.c) is the one
 * place that decides what follows. Library code does not log: error_text says what went wrong, in a sentence for
 * people, and the top logs it once. */
#ifndef ORIORI_IO_WORLD_H
#define ORIORI_IO_WORLD_H

enum world {
    WORLD_DONE,
    WORLD_AGAIN, /* not now, nothing has happened: the same call may be repeated (a timeout before effect, a full queue)
                  */
    WORLD_RECOVER, /* failed or outcome unknown: abort what is open, forget all shards, recover; the producer is sound
                    */
    WORLD_REPLACE, /* the same, but the producer is fenced or its state unknown: a new producer first */
    WORLD_STOP     /* cannot be healed by trying: wrong configuration, no right to, topic re-created; say so loudly */
};

#define WORLD_MUST_USE __attribute__((warn_unused_result))

#endif
