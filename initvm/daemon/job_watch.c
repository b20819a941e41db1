/* SPDX-License-Identifier: MIT */
#include "daemon/job_private.h"

#include <stdlib.h>

struct job_watch {
        struct jobs *jobs;
        struct job *job; /* NULL: all */
        job_watch_fn fn;
        void *userdata;
        bool telling, dead; /* freed while its fn runs */
        struct job_watch *prev, *next;
};

static void unlink_watch(struct job_watch *w)
{
        if (w->prev)
                w->prev->next = w->next;
        else
                w->jobs->watches = w->next;
        if (w->next)
                w->next->prev = w->prev;
}

void job_watch_free(struct job_watch *w)
{
        if (!w)
                return;
        w->dead = true;
        if (w->telling)
                return;
        unlink_watch(w);
        free(w);
}

static struct json_object *event_new(const struct job *job, const char *event)
{
        struct json_object *o = json_new();

        json_add_string(o, "event", event);
        json_add(o, "job", job_describe(job, false));
        return o;
}

static void tell(struct job_watch *w, struct json_object *owned_event, bool last)
{
        w->telling = true;
        w->fn(w->userdata, owned_event, last);
        w->telling = false;
        w->dead |= last;
}

/* Those that were freed meanwhile, or have had their last event. */
static void bury(struct jobs *j)
{
        for (struct job_watch *w = j->watches, *next; w; w = next) {
                next = w->next;
                if (w->dead && !w->telling)
                        job_watch_free(w);
        }
}

static void tell_all(struct job *job, const char *event, bool ends)
{
        struct jobs *j = job->jobs;

        for (struct job_watch *w = j->watches; w; w = w->next) /* a watch that is made meanwhile goes in front */
                if (!w->dead && !w->telling && (!w->job || w->job == job))
                        tell(w, event_new(job, event), ends && w->job);
        bury(j);
}

void job_tell(struct job *job, const char *event)
{
        tell_all(job, event, job_state_final(job->record.state));
}

void job_tell_removed(struct job *job)
{
        tell_all(job, "removed", true);
}

struct job_watch *jobs_watch(struct jobs *j, struct job *job, job_watch_fn fn, void *userdata)
{
        struct job_watch *w;

        if (job && job_state_final(job->record.state)) {
                fn(userdata, event_new(job, "state"), true);
                return NULL;
        }
        w = xcalloc(1, sizeof(*w));
        *w = (struct job_watch){.jobs = j, .job = job, .fn = fn, .userdata = userdata, .next = j->watches};
        if (w->next)
                w->next->prev = w;
        j->watches = w;
        for (size_t i = 0; i < j->n && !w->dead; i++)
                if (job ? j->all[i] == job : !job_state_final(j->all[i]->record.state))
                        tell(w, event_new(j->all[i], "state"), false);
        return w;
}

void job_watches_done(struct jobs *j)
{
        while (j->watches)
                job_watch_free(j->watches);
}
