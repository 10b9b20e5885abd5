"""Calls the gRPC origin through the edge: HOST PORT CA_FILE. Prints what it saw, fails loudly."""
import queue
import sys

import grpc

host, port, ca = sys.argv[1:4]
credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
options = [
    ("grpc.ssl_target_name_override", host),
    ("grpc.default_authority", f"{host}:{port}"),
]
with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
    say = channel.unary_unary("/test.Echo/Say")
    answer, call = say.with_call(b"hello", timeout=30)
    assert answer == b"you said hello", answer
    assert dict(call.trailing_metadata())["x-seen"] == "5", call.trailing_metadata()
    try:
        say(b"fail", timeout=30)
        raise SystemExit("the failure was lost")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        assert error.details() == "as you asked", error

    # Each answer is awaited before the next question: nothing may be held back on the way.
    questions = queue.Queue()
    chat = channel.stream_stream("/test.Echo/Chat")
    answers = chat(iter(questions.get, None), timeout=30)
    for n in range(100):
        questions.put(b"%d" % n)
        assert next(answers) == b"echo %d" % n
    questions.put(None)
    assert list(answers) == []
print("grpc ok")
