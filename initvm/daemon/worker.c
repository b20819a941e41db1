/* SPDX-License-Identifier: MIT */
#include "daemon/worker.h"

#include "base/util.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct job {
        loop_fn run;
        loop_fn done;
        loop_fn drop; /* or NULL */
        void *userdata;
        struct job *next;
};

struct worker {
        struct loop *loop;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        pthread_t threads[WORKER_THREADS];
        struct job *first, **end;
        bool quit;
};

static void *work(void *userdata)
{
        struct worker *w = userdata;

        pthread_mutex_lock(&w->lock);
        while (!w->quit) {
                struct job *job = w->first;
                if (!job) {
                        pthread_cond_wait(&w->wake, &w->lock);
                        continue;
                }
                w->first = job->next;
                if (!w->first)
                        w->end = &w->first;
                pthread_mutex_unlock(&w->lock);
                job->run(job->userdata);
                loop_post(w->loop, job->done, job->userdata);
                free(job);
                pthread_mutex_lock(&w->lock);
        }
        pthread_mutex_unlock(&w->lock);
        return NULL;
}

struct worker *worker_new(struct loop *loop)
{
        struct worker *w = xcalloc(1, sizeof(*w));

        w->loop = loop;
        w->end = &w->first;
        pthread_mutex_init(&w->lock, NULL);
        pthread_cond_init(&w->wake, NULL);
        for (size_t i = 0; i < WORKER_THREADS; i++)
                if (pthread_create(&w->threads[i], NULL, work, w) != 0)
                        abort();
        return w;
}

void worker_run(struct worker *w, loop_fn run, loop_fn done, void *userdata)
{
        worker_run_or(w, run, done, NULL, userdata);
}

void worker_run_or(struct worker *w, loop_fn run, loop_fn done, loop_fn drop, void *userdata)
{
        struct job *job = xcalloc(1, sizeof(*job));

        *job = (struct job){.run = run, .done = done, .drop = drop, .userdata = userdata};
        pthread_mutex_lock(&w->lock);
        *w->end = job;
        w->end = &job->next;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
}

void worker_free(struct worker *w)
{
        if (!w)
                return;
        pthread_mutex_lock(&w->lock);
        w->quit = true;
        pthread_cond_broadcast(&w->wake);
        pthread_mutex_unlock(&w->lock);
        for (size_t i = 0; i < WORKER_THREADS; i++)
                pthread_join(w->threads[i], NULL);
        while (w->first) {
                struct job *job = w->first;
                w->first = job->next;
                if (job->drop)
                        job->drop(job->userdata);
                free(job);
        }
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
        free(w);
}
