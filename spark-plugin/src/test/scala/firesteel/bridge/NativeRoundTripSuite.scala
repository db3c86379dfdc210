package firesteel.bridge

import java.util.concurrent.{CountDownLatch, TimeUnit}
import java.util.concurrent.atomic.AtomicInteger

import scala.util.{Try, Using}

import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

class NativeRoundTripSuite extends AnyFunSuite with BeforeAndAfterAll {
  private val rows = SmallFit.rows(200)

  override protected def beforeAll(): Unit = NativeLibrary.ensureLoaded()

  /** Opens a server and a worker that has these rows. */
  private def fitting[A](epochs: Int)(body: (SmallFit, NativeServer, NativeWorker) => A): A = {
    val fit = new SmallFit(epochs)
    Using.resource(NativeServer.open(fit.server, null)) { server =>
      Using.resource(NativeWorker.open(fit.worker(SmallFit.portOf(server.status)))) { worker =>
        body(fit, server, worker)
      }
    }
  }

  private def trained(epochs: Int): Array[Byte] = fitting(epochs) { (_, server, worker) =>
    SmallFit.load(worker, rows.take(50), Nil, rows.drop(50))
    worker.run()
    server.weights()
  }

  test("rows from Arrow become weights, and these predict") {
    val before = NativeRuntime.metrics()
    val (fit, weights, report) = fitting(60) { (fit, server, worker) =>
      SmallFit.load(worker, rows.take(50), Nil, rows.drop(50))
      val report = worker.run()
      assert(server.status.contains("\"finished\""))
      assert(server.summary.contains("\"ledger\""))
      (fit, server.weights(), report)
    }
    assert(report.contains("\"rows\":200"))
    val after = NativeRuntime.metrics()
    assert(after.commits > before.commits)
    assert(after.rows - before.rows == 200 * 60)
    Using.resource(NativePredictor.open(fit.predictor("round trip"), () => weights)) { predictor =>
      val predictions = SmallFit.predict(predictor, rows)
      val right =
        predictions.zip(rows).count { case ((_, prediction), row) => prediction == row._3 }
      assert(right > 180)
      assert(predictions.forall { case (p, prediction) => (p > 0.5) == (prediction == 1.0) })
      assert(SmallFit.predict(predictor, Nil).isEmpty)
    }
  }

  test("workers of two fits share rows that were loaded once, and each frees its own hold") {
    fitting(5) { (_, first, loaded) =>
      fitting(5) { (_, second, sharing) =>
        val empty = intercept[InternalException](sharing.share(loaded))
        assert(empty.getMessage.contains("load them first"))
        SmallFit.load(loaded, rows)
        sharing.share(loaded)
        loaded.run()
        loaded.close()
        sharing.run()
        assert(first.weights().toSeq === second.weights().toSeq)
      }
    }
  }

  test("a fit may start from given weights") {
    val weights = trained(5)
    val fit = new SmallFit(1)
    Using.resource(NativeServer.open(fit.server, weights)) { server =>
      assert(intercept[UntrainedModelException](server.weights()).getMessage.nonEmpty)
      Using.resource(NativeWorker.open(fit.worker(SmallFit.portOf(server.status)))) { worker =>
        SmallFit.load(worker, rows)
        worker.run()
      }
      assert(server.weights().length == weights.length)
    }
    val damaged =
      intercept[InvalidDataException](NativeServer.open(fit.server, Array[Byte](1, 2, 3)))
    assert(damaged.getMessage.contains("safetensors"))
  }

  test("predictors of a process share their weights, which are asked for once") {
    val weights = trained(1)
    val fit = new SmallFit(1)
    val asked = new AtomicInteger
    def open(): NativePredictor = NativePredictor.open(
      fit.predictor("shared"),
      () => {
        asked.incrementAndGet()
        weights
      }
    )
    Using.resources(open(), open()) { (first, second) =>
      assert(asked.get == 1)
      assert(SmallFit.predict(first, rows) == SmallFit.predict(second, rows))
    }
    open().close()
    assert(asked.get == 2, "the last close frees the weights")
  }

  test("a value that cannot be trained on names column and row, and leaves no memory") {
    fitting(1) { (_, _, worker) =>
      val bad = rows.take(10) :+ ((Float.NaN, 0f, 1.0))
      val error = intercept[InvalidDataException](SmallFit.load(worker, rows.take(3), bad))
      assert(error.getMessage.contains("column 'features', row 13"), error.getMessage)
      val label = intercept[InvalidDataException](SmallFit.load(worker, Seq((0f, 0f, 2.0))))
      assert(label.getMessage.contains("column 'label', row 0"), label.getMessage)
    }
  }

  test("a failure of the stream is a StreamException with its text, and leaves no memory") {
    fitting(1) { (_, _, worker) =>
      val error = intercept[StreamException] {
        SmallFit.withAllocator { allocator =>
          val cause = new IllegalStateException("the plan failed")
          val stream = new SmallFit.Stream(allocator, Seq(rows), Some(cause))
          SmallFit.loadFrom(worker, allocator, stream)
        }
      }
      assert(error.getMessage.contains("the plan failed"))
      val untrained = intercept[InternalException](worker.run())
      assert(untrained.getMessage.contains("no rows"))
    }
  }

  /** Runs an endless fit, applies an action to it, and returns the exception of the run. */
  private def interrupted(action: (NativeServer, NativeWorker) => Any): Throwable =
    fitting(Int.MaxValue) { (_, server, worker) =>
      SmallFit.load(worker, rows)
      val started = new CountDownLatch(1)
      @volatile var outcome: Try[String] = Try("not run")
      val thread = new Thread(() => {
        started.countDown()
        outcome = Try(worker.run())
      })
      thread.start()
      started.await()
      while (!server.status.contains("\"live\"")) Thread.sleep(5)
      action(server, worker)
      thread.join(TimeUnit.SECONDS.toMillis(20))
      assert(!thread.isAlive, "the run goes on")
      outcome.failed.get
    }

  test("a run ends when another thread cancels its worker") {
    assert(interrupted((_, worker) => worker.cancel()).isInstanceOf[TrainingCancelledException])
  }

  test("closing a worker while it runs is safe and ends the run") {
    val error = interrupted { (_, worker) =>
      worker.close()
      worker.close()
      worker.cancel()
      assert(intercept[InternalException](worker.run()).getMessage == "the worker is closed")
    }
    assert(error.isInstanceOf[TrainingCancelledException])
  }

  test("a server that closes while a worker trains is an error of the run") {
    val error = interrupted((server, _) => server.close())
    assert(error.isInstanceOf[NativeError], error)
  }

  test("a release ends the run and closes the server, and a later fit works") {
    val error = interrupted((_, _) => NativeRuntime.release())
    assert(error.isInstanceOf[NativeError], error)
    assert(trained(1).nonEmpty)
  }

  test("a wrong secret is an AuthenticationException") {
    val fit = new SmallFit(1)
    Using.resource(NativeServer.open(fit.server, null)) { server =>
      // As another process would: a fit that is not in this one is reached through the socket.
      val spec = fit
        .worker(SmallFit.portOf(server.status))
        .replace(fit.secret, "6b" * 32)
        .replace(fit.fit, "another fit")
      Using.resource(NativeWorker.open(spec)) { worker =>
        SmallFit.load(worker, rows)
        intercept[AuthenticationException](worker.run())
      }
    }
  }

  test("a server that cannot be reached is named after the timeout") {
    val fit = new SmallFit(1)
    val spec = fit.worker(1).replace("\"timeoutMillis\": 5000", "\"timeoutMillis\": 300")
    Using.resource(NativeWorker.open(spec)) { worker =>
      SmallFit.load(worker, rows)
      val error = intercept[ServerUnreachableException](worker.run())
      assert(error.getMessage.contains("127.0.0.1:1"), error.getMessage)
    }
  }

  test("what a task cannot retry fails the whole fit") {
    fitting(1) { (_, server, worker) =>
      worker.abort(InvalidDataException.CODE, "column 'features', row 3: found NaN")
      val status = server.status
      assert(status.contains("\"failure\":{\"code\":2"), status)
      assert(status.contains("row 3: found NaN"))
    }
  }
}
