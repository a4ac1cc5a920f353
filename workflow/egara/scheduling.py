"""One mistake of Snakemake's scheduler, mended where it is used.

Snakemake bounds how many jobs start in a timespan. To go on after it, each look at the waiting jobs sets a timer for
the next look (9.27, `JobScheduler._schedule_reevalutation`), and each job that ends brings a look of its own. So timers
only become more, one a finished job: with a timespan of 2 s an eighth of a core after 140 jobs. A run that ends waits
for the last of them. One pending timer does the same.
"""

import threading


def share_timers() -> bool:
    """Let each scheduler of this process have one pending timer; False where this Snakemake has no such function."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    if not hasattr(JobScheduler, "_schedule_reevalutation"):
        return False
    lock = threading.Lock()

    def schedule(scheduler: JobScheduler, delay: float) -> None:
        """Wake the scheduler after `delay` seconds, unless it will be woken already."""
        with lock:
            if getattr(scheduler, "_is_to_wake", False):
                return
            scheduler._is_to_wake = True
        timer = threading.Timer(delay, wake, [scheduler])
        timer.daemon = True
        timer.start()

    def wake(scheduler: JobScheduler) -> None:
        with lock:
            scheduler._is_to_wake = False  # before the look that this brings, which sets the next timer
        scheduler._open_jobs.release()

    JobScheduler._schedule_reevalutation = schedule
    return True
