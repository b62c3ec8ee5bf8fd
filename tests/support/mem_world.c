/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/mem_world.h"

void mem_world_open(struct mem_world *w, struct alk_mem_options options)
{
    alk_hub_init(&w->client_hub, NULL, 0);
    alk_hub_init(&w->server_hub, NULL, 1);
    options.client_hub = &w->client_hub;
    options.server_hub = &w->server_hub;
    check_err(alk_mem_pair_new(&options, &w->pair), ALK_OK);
}

void mem_world_run(struct mem_world *w)
{
    bool more = true;
    for (unsigned turn = 0; more; turn++) {
        assert_true(turn < 100000);
        more = alk_hub_run(&w->client_hub);
        more = alk_hub_run(&w->server_hub) || more;
        more = alk_mem_pump(w->pair) || more;
        more = more || alk_hub_has_work(&w->client_hub) || alk_hub_has_work(&w->server_hub);
    }
}

void mem_world_close(struct mem_world *w)
{
    alk_mem_pair_free(w->pair);
    alk_hub_fini(&w->client_hub);
    alk_hub_fini(&w->server_hub);
}
