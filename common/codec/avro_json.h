/* A datum as JSON by its writer's schema, for people and tools. Trusts no byte, as avro_binary.h. */
#ifndef ORIORI_CODEC_AVRO_JSON_H
#define ORIORI_CODEC_AVRO_JSON_H

#include "common/base/buffer.h"

#include <avro.h>

/* False: the datum is none of the schema (or has bytes left over, or texts that are no UTF-8); the buffer is as before.
 */
bool avro_json_write(avro_schema_t schema, struct span datum, struct buffer *buffer);

#endif
