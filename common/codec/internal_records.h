/* What the worker's own topics carry, as C structs, with the bytes of forward.avsc, meta.avsc, step.avsc and
 * dead_letter.avsc (wire header included) on the other side.
 *
 * Encoders append to a buffer. Decoders borrow texts and bytes from the value given and take lists from the arena; they
 * read only what this version writes (the schema id says so) and are false for anything else: a foreign id, bytes cut
 * short, a length that lies, bytes left over. */
#ifndef ORIORI_CODEC_INTERNAL_RECORDS_H
#define ORIORI_CODEC_INTERNAL_RECORDS_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/engine/event.h"

/* A Kafka header. value.data NULL = a null value. */
struct header {
    struct span name;
    struct span value;
};

/* One record of an input topic as it was read. data NULL of key or value = null. */
struct original {
    struct span topic; /* as Kafka names it: "crm.orders" */
    int32_t partition;
    int64_t offset;
    int64_t timestamp; /* Kafka's, ms; -1 = none */
    struct span key;
    struct span value;
    const struct header *headers;
    size_t header_count;
};

enum forward_kind {
    FORWARD_EVENT,    /* original: an input record for a customer of this shard */
    FORWARD_CREDIT,   /* credit: what a friend's step means for his referrer (R30) */
    FORWARD_TICK,     /* tick_at: a demo's clock moves */
    FORWARD_PLAYBOOK, /* playbook_*, activation: this playbook is in force from the next step on */
    FORWARD_PAUSE,    /* rule: held from here on (R66) */
    FORWARD_RESUME,   /* rule */
    FORWARD_RELEASE   /* rule: a customer's id; his quarantine ends */
};

struct forward {
    enum forward_kind kind;
    struct original
        original;        /* FORWARD_EVENT; of FORWARD_CREDIT only the coordinates of the friend's record, no bytes */
    struct event credit; /* FORWARD_CREDIT: an EVENT_CREDIT event: customer_id is the referrer */
    int64_t tick_at;     /* ms */
    struct span playbook_version;
    unsigned char playbook_hash[32]; /* SHA-256 of its text */
    struct span playbook_yaml;       /* "": the text is in crm.playbook */
    int64_t activation;              /* from 1 */
    struct span rule;                /* "" = all marketing */
};

void forward_encode(const struct forward *forward, struct buffer *buffer);
bool forward_decode(struct span value, struct arena *arena, struct forward *ret_forward);

/* Where an input partition stands: the next offset to read. */
struct input_offset {
    struct span topic;
    int32_t partition;
    int64_t next;
};

/* The last record of every transaction in crm.state[shard] (key 0x00). */
struct meta {
    int32_t shard;
    int64_t seq;   /* grows by one per transaction of the shard */
    int64_t clock; /* the shard's T, ms */
    unsigned char playbook_hash[32];
    struct span playbook_version;
    int32_t shard_count; /* S */
    struct span application_id;
    struct span cluster_id;
    const struct input_offset *inputs; /* the input partitions numbered as the shard */
    size_t input_count;
    int64_t forward_next; /* next offset of crm.forward[shard] */
    bool pause_marketing;
    const struct span *paused_rules;
    size_t paused_rule_count;
    int64_t activation; /* that put the playbook in force; 0 = the shard was born with it */
    bool sweeping;      /* customers are being visited under it, in the order of ids */
    struct span swept;  /* up to this id; "" = none yet */
};

void meta_encode(const struct meta *meta, struct buffer *buffer);
bool meta_decode(struct span value, struct arena *arena, struct meta *ret_meta);

struct step_range { /* offsets [from, next) of one partition were consumed by the step; crm.forward too */
    struct span topic;
    int32_t partition;
    int64_t from;
    int64_t next;
};

/* One record of crm.steps[shard]: all that is needed to run the step again and get the same bytes. */
struct step_log {
    int32_t shard;
    int64_t seq;
    int64_t now; /* T, ms */
    unsigned char playbook_hash[32];
    struct span tz_version;
    const struct span *timer_customers; /* visited for their timers, in this order */
    size_t timer_customer_count;
    const struct step_range *ranges;
    size_t range_count;
};

void step_log_encode(const struct step_log *step, struct buffer *buffer);
bool step_log_decode(struct span value, struct arena *arena, struct step_log *ret_step);

/* One record of crm.playbook (compacted, one partition): a text under its hash, or one activation under its number. */
struct playbook_entry {
    unsigned char hash[32];
    struct span version;
    int64_t activation;   /* 0: the text alone */
    int64_t activated_at; /* ms; NEVER with the text alone */
    struct span yaml;     /* "": an activation */
};

void playbook_entry_encode(const struct playbook_entry *entry, struct buffer *buffer);
bool playbook_entry_decode(struct span value, struct arena *arena, struct playbook_entry *ret_entry);
enum { PLAYBOOK_KEY_SIZE = 72 };
/* The record's key, NUL-terminated: the hash in hex, or "activation/7". */
void playbook_entry_key(const struct playbook_entry *entry, char ret_key[PLAYBOOK_KEY_SIZE]);

/* One record of crm.dead. The size and SHA-256 are those of the whole original value, also when it is cut. */
struct dead_letter {
    enum reason reason;
    struct span message;      /* for people; "" = none */
    struct span field;        /* "" = none */
    struct original original; /* value: as much as fits */
    bool truncated;
    int64_t size; /* bytes of the whole value */
    unsigned char sha256[32];
};

/* A letter for the record with size and digest filled in, its value cut to value_size_max bytes. */
struct dead_letter dead_letter_of(const struct original *original, enum reason reason, const char *field,
                                  struct span message, size_t value_size_max);
void dead_letter_encode(const struct dead_letter *letter, struct buffer *buffer);
bool dead_letter_decode(struct span value, struct arena *arena, struct dead_letter *ret_letter);

#endif
