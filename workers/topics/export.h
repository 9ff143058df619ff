/* `oriori topics export`: a run as one file, for `oriori simulate --steps` and bug reports. */
#ifndef ORIORI_WORKERS_TOPICS_EXPORT_H
#define ORIORI_WORKERS_TOPICS_EXPORT_H

#include "common/io/config.h"

#include <stdio.h>

/* Every committed record of every topic that is there, one JSON object a line, the topics in the order of the plan, a
 * partition's records in the order of offsets:
 *
 *     {"topic","partition","offset","timestamp","key","value","headers":[[name, value] ...]}
 *
 * Where schemas are a registry's, what the inputs' ids mean follows, one object a line: {"id","schema"}.
 *
 * Key, value and the headers' names and values are base64; "" is none, or null. It is what the embedded log leaves in
 * its folder, with the topic's name in each line. False: said on standard error why. */
bool topics_export(struct config *config, FILE *out);

#endif
