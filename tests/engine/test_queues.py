"""engine/extensions/polyscribe_queues.py: a process of vLLM that waits for another leaves the core to it."""

import json

WAITED_S = 0.5
LONGEST_SLEEP_S = 60  # instead of one second: only a notice wakes the reader within this test
ASKS = f"""
import json, threading, time
import polyscribe_queues
from vllm.distributed.device_communicators import shm_broadcast

polyscribe_queues.LONGEST_SLEEP_MS = {LONGEST_SLEEP_S * 1000}
polyscribe_queues.install()
writer = shm_broadcast.MessageQueue(1, 1)
found = {{}}

def read():
    reader = shm_broadcast.MessageQueue.create_from_handle(writer.export_handle(), 0)
    reader.wait_until_ready()
    reader.dequeue()
    began_s = time.thread_time()
    found["message"] = reader.dequeue()
    found["processor_s"] = time.thread_time() - began_s
    found["read"] = time.monotonic()

thread = threading.Thread(target=read)
thread.start()
writer.wait_until_ready()
writer.enqueue("first")
time.sleep({WAITED_S})
written = time.monotonic()
writer.enqueue("second")
thread.join()
print(json.dumps(found | {{"late_s": found.pop("read") - written}}))
"""


def test_who_waits_for_a_message_uses_no_processor_and_gets_it_at_once(vllm_process):
    found = json.loads(vllm_process.ask(ASKS).splitlines()[-1])
    assert found["message"] == "second"
    assert found["processor_s"] < WAITED_S / 10
    assert found["late_s"] < LONGEST_SLEEP_S / 2
