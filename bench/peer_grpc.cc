/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/peer_grpc.cc - the same work as `call rr` of bench/call.c with gRPC's own C++
 * library: unary calls with TLS on one connection, asynchronous on both sides, a process
 * each. Built when libgrpc++ is there.
 *
 *   peer_grpc server KEY CERT       PEM files; prints the port; stops when killed
 *   peer_grpc rr PORT CERT COUNT INFLIGHT SIZE
 */
#include "measure.h"
#include "peer_grpc.grpc.pb.h"

#include <fstream>
#include <grpcpp/grpcpp.h>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace
{

[[noreturn]] void die(const std::string &what)
{
    std::cerr << "peer_grpc: " << what << std::endl;
    std::_Exit(1);
}

std::string read_file(const char *path)
{
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    if (!in) {
        die(path);
    }
    return text.str();
}

/* --- the server: one completion queue, one thread ----------------------------------- */

class Request
{
  public:
    Request(bench::Echo::AsyncService *service, grpc::ServerCompletionQueue *queue)
        : service_(service), queue_(queue), writer_(&context_)
    {
        service_->RequestSay(&context_, &text_, &writer_, queue_, queue_, this);
    }
    void proceed(bool ok)
    {
        if (!ok || is_over_) {
            delete this;
            return;
        }
        new Request(service_, queue_); /* for the next call */
        bench::Text answer;
        answer.set_text(text_.text());
        is_over_ = true;
        writer_.Finish(answer, grpc::Status::OK, this);
    }

  private:
    bench::Echo::AsyncService *service_;
    grpc::ServerCompletionQueue *queue_;
    grpc::ServerContext context_;
    bench::Text text_;
    grpc::ServerAsyncResponseWriter<bench::Text> writer_;
    bool is_over_ = false;
};

int serve(const char *key, const char *cert)
{
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({read_file(key), read_file(cert)});
    grpc::ServerBuilder builder;
    bench::Echo::AsyncService service;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port);
    builder.RegisterService(&service);
    std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (!server) {
        die("the server did not start");
    }
    std::cout << port << std::endl;
    for (int i = 0; i < 128; i++) {
        new Request(&service, queue.get());
    }
    void *tag = nullptr;
    bool ok = false;
    while (queue->Next(&tag, &ok)) {
        static_cast<Request *>(tag)->proceed(ok);
    }
    return 0;
}

/* --- the client ------------------------------------------------------------------------ */

struct Call {
    grpc::ClientContext context;
    bench::Text answer;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<bench::Text>> reader;
    uint64_t begun = 0;
};

void ask(bench::Echo::Stub *stub, grpc::CompletionQueue *queue, const bench::Text &text)
{
    Call *call = new Call;
    call->begun = measure_now_ns();
    call->reader = stub->AsyncSay(&call->context, text, queue);
    call->reader->Finish(&call->answer, &call->status, call);
}

int run(char **argv)
{
    const unsigned long long count = strtoull(argv[2], nullptr, 10);
    const unsigned long long inflight = strtoull(argv[3], nullptr, 10);
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = read_file(argv[1]);
    std::shared_ptr<grpc::Channel> channel =
        grpc::CreateChannel(std::string("localhost:") + argv[0], grpc::SslCredentials(options));
    std::unique_ptr<bench::Echo::Stub> stub = bench::Echo::NewStub(channel);
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
        die("no connection");
    }
    bench::Text text;
    text.set_text(std::string(strtoull(argv[4], nullptr, 10), 'x'));
    grpc::CompletionQueue queue;
    struct measure measure;
    unsigned long long started = 0, done = 0;
    measure_begin(&measure);
    for (; started < inflight && started < count; started++) {
        ask(stub.get(), &queue, text);
    }
    void *tag = nullptr;
    bool ok = false;
    while (done < count && queue.Next(&tag, &ok)) {
        std::unique_ptr<Call> call(static_cast<Call *>(tag));
        if (!ok || !call->status.ok() || call->answer.text().size() != text.text().size()) {
            die("a call failed: " + call->status.error_message());
        }
        measure_add(&measure, call->begun);
        done++;
        if (started < count) {
            ask(stub.get(), &queue, text);
            started++;
        }
    }
    measure_report(&measure, static_cast<double>(done));
    std::_Exit(0);
}

} // namespace

int main(int argc, char **argv)
{
    const std::string mode = argc > 1 ? argv[1] : "";
    if (argc == 4 && mode == "server") {
        return serve(argv[2], argv[3]);
    }
    if (argc == 7 && mode == "rr") {
        return run(argv + 2);
    }
    std::cerr << "usage: see the head of bench/peer_grpc.cc" << std::endl;
    return 2;
}
