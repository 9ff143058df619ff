/* The subcommands of the one program. Each lives in a folder of its own as
 *
 *     int NAME_main(int argc, char **argv);
 *
 * argv[0] is the subcommand's name, so getopt_long works as in any main(). `--help` prints the usage with an example to
 * standard output. Exit status: 0 done, 1 failed, 2 wrong usage (said on standard error). `playbook activate
 * --unless-after`, which workers run, never says 1: the text is at fault, 65 (sysexits.h's EX_DATAERR), or anything
 * else is, 75 (EX_TEMPFAIL), and later it may not be. To add one: a declaration here and a row in main.c. */
#ifndef ORIORI_WORKERS_SUBCOMMAND_H
#define ORIORI_WORKERS_SUBCOMMAND_H

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_REFUSED = 65, EXIT_AGAIN = 75 };

int worker_main(int argc, char **argv);
int topics_main(int argc, char **argv);
int produce_main(int argc, char **argv);
int consume_main(int argc, char **argv);
int simulate_main(int argc, char **argv);
int lint_main(int argc, char **argv);
int report_main(int argc, char **argv);
int customer_main(int argc, char **argv);
int config_main(int argc, char **argv);
int map_main(int argc, char **argv);
int dlq_main(int argc, char **argv);
int demo_main(int argc, char **argv);
int schema_main(int argc, char **argv);
int shard_main(int argc, char **argv);
int playbook_main(int argc, char **argv);
int pause_main(int argc, char **argv);
int resume_main(int argc, char **argv);
int version_main(int argc, char **argv);

#endif
