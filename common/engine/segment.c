#include "common/engine/classes.h"

/* R44: class from nps, else from satisfaction; height from satisfaction, else from nps by the same classes. */
enum segment segment_of(const struct figures *figures)
{
    if (figures->segment_response == FACT_NONE)
        return SEGMENT_UNKNOWN;
    const struct playbook *playbook = figures->playbook;
    const struct response *response = &figures->facts->responses[figures->segment_response];
    int by_nps = (response->nps >= playbook->passive_nps) + (response->nps >= playbook->promoter_nps);
    int by_satisfaction = (response->satisfaction >= playbook->mid_satisfaction) +
                          (response->satisfaction >= playbook->high_satisfaction);
    int class = response->nps >= 0 ? by_nps : by_satisfaction;
    int height = response->satisfaction ? by_satisfaction : by_nps;
    return (enum segment)(SEGMENT_DETRACTOR_LOW + 3 * class + height);
}
