/* A run's folder: what a worker with `log: memory` left behind, a file of lines for each topic. */
#ifndef ORIORI_IO_RUN_FOLDER_H
#define ORIORI_IO_RUN_FOLDER_H

#include "common/base/buffer.h"

/* Hands each line of FOLDER/TOPIC.jsonl, without its end, to take, in the file's order; a line is borrowed for the
 * call. False: *error is a sentence, and some lines may have been handed out. */
bool run_folder_read(const char *folder, const char *topic, void (*take)(void *context, struct span line),
                     void *context, struct buffer *error);

#endif
