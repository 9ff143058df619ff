/* One transaction of a command that people type (adopt, pause, resume): a transactional producer of its own beside the
 * workers'. Its id is application_id + "-command" for all of them, so the later of two commands fences the earlier one:
 * what the earlier one has read is never committed over what the later one did. Life-cycle: open, begin, produce or
 * send_offsets, commit, close; each is false after an error, which stands in `error` as a sentence. */
#ifndef ORIORI_IO_KAFKA_COMMAND_H
#define ORIORI_IO_KAFKA_COMMAND_H

#include "common/base/span.h"
#include "common/io/kafka_client.h"

struct kafka_command {
    const struct config *config;
    struct kafka_trouble trouble;
    rd_kafka_t *producer;
    struct buffer error;
};

/* The config is borrowed. Close in any case. */
bool kafka_command_open(struct kafka_command *command, const struct config *config);
bool kafka_command_begin(struct kafka_command *command);
bool kafka_command_produce(struct kafka_command *command, const char *topic, int32_t partition, struct span value);
/* The same with a key, for a compacted topic. */
bool kafka_command_produce_keyed(struct kafka_command *command, const char *topic, int32_t partition, struct span key,
                                 struct span value);
/* For the config's group, as one who is no member of it: the broker takes this only of an empty group. */
bool kafka_command_send_offsets(struct kafka_command *command, const rd_kafka_topic_partition_list_t *offsets);
/* All or nothing; false: nothing, or (said in the error) nobody knows. */
bool kafka_command_commit(struct kafka_command *command);
void kafka_command_close(struct kafka_command *command);

#endif
