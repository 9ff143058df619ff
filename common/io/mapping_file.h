/* Mappings by name or path. */
#ifndef ORIORI_IO_MAPPING_FILE_H
#define ORIORI_IO_MAPPING_FILE_H

#include "common/base/buffer.h"
#include "common/codec/mapping.h"

/* name: a path (it has a slash, or ends in .yaml), or one of the shipped mappings ("shopify"). NULL: *error holds lines
 * that say what is wrong. */
struct mapping *mapping_file_open(const char *name, struct buffer *error);

#endif
