"""A Celery worker whose task keeps what it has worked on."""

import os

import watching
from celery import Celery
from celery.signals import worker_process_init

folder = os.environ["BROKER"]
app = Celery("celery_app", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": folder,
        "data_folder_out": folder,
        "control_folder": os.path.join(folder, "control"),
    },
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)
processed = []


@worker_process_init.connect
def start_profiler(**settings):
    watching.start()


@app.task
def work(number):
    watching.keep(processed, number)


@app.task
def report(path):
    import json

    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(watching.report(), file)
    os.rename(path + ".part", path)
