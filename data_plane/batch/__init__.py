"""The batch worker process: scores the files of a batch job into predictions, exactly once and in order.

`run_job.py` claims and runs the steps of a job (plan, score a mini-batch, finish). `input/` reads files into chunks,
`output/` writes predictions, `worker_pool.py` keeps model workers warm between mini-batches.
"""
