/* `oriori version`: what a bug report needs to say. */
#include "workers/subcommand.h"

#include <hiredis/hiredis.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

int version_main(int argc, char **argv)
{
    if (argc > 1) {
        int help = strcmp(argv[1], "--help") == 0;
        fputs("usage: oriori version\n\nPrints the version of oriori and of the libraries it runs with.\n\n"
              "example: oriori version\n",
              help ? stdout : stderr);
        return help ? EXIT_DONE : EXIT_USAGE;
    }
    printf("oriori %s\n", ORIORI_VERSION);
#ifdef ORIORI_REDIS_TLS
    const char *tls = "with TLS";
#else
    const char *tls = "without TLS";
#endif
    printf("librdkafka %s, hiredis %d.%d.%d %s, jansson %s, libyaml %s\n", rd_kafka_version_str(), HIREDIS_MAJOR,
           HIREDIS_MINOR, HIREDIS_PATCH, tls, JANSSON_VERSION, yaml_get_version_string());
    return EXIT_DONE;
}
