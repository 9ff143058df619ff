"""A mail server that keeps what it gets, for tests: of each accepted mail the action's id, and when it came."""
import socketserver
import threading
import time


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            self.talk()
        except OSError:  # the mailer was killed
            pass

    def talk(self):
        self.say("220 sink")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.say("354 go on")
                self.take()
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 sink")

    def take(self):
        action = None
        while (line := self.rfile.readline()) and line.rstrip(b"\r\n") != b".":
            if line.lower().startswith(b"x-action-id:"):
                action = line.split(b":", 1)[1].strip().decode()
        if line:  # the mail is whole
            with self.server.lock:
                self.server.actions.append(action)
                self.server.taken_at[action] = time.time()
            self.say("250 taken")

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


class Sink(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Session)
        self.lock, self.actions, self.taken_at = threading.Lock(), [], {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]
