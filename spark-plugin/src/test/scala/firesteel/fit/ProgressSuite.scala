package firesteel.fit

import java.io.{ByteArrayOutputStream, PrintStream}

import firesteel.summary._
import org.scalatest.funsuite.AnyFunSuite

final class ProgressSuite extends AnyFunSuite {
  private def worker(epoch: Int, batch: Int, state: String = "live"): WorkerStatus =
    WorkerStatus(0, 0, state, epoch, batch, 100, 0, 0, 0, 0, 0, 0, 0, 1, 0)

  private def status(rows: Long, workers: WorkerStatus*): ServerStatus =
    ServerStatus(1, 0, 0, 0, 0, workers, Nil, rows, Some(0.25), Nil, None)

  private def lines(draw: ProgressLine => Unit)(clock: () => Long): Seq[String] = {
    val bytes = new ByteArrayOutputStream
    draw(new ProgressLine(new PrintStream(bytes), Seq(FitSize(4, 2)), 100, clock))
    bytes.toString.split("[\r\n]").toSeq.map(_.trim).filter(_.nonEmpty)
  }

  test("a line tells epoch, loss, rows a second, workers and the time left") {
    var seconds = 0L
    val drawn = lines { line =>
      line.update(Seq(status(0)))
      seconds = 2
      line.finish(Seq(status(20000, worker(1, 0), worker(1, 0))))
    }(() => seconds * 1000000000L)
    assert(drawn.head === "epoch 1/4 [>         ]  loss 0.2500  0/2 workers")
    assert(
      drawn.last ===
        "epoch 2/4 [==>       ]  loss 0.2500  10,000 rows/s  2/2 workers  0:06 left"
    )
  }

  test("a line covers what is on the console, and is not wider than it") {
    val bytes = new ByteArrayOutputStream
    val line = new ProgressLine(new PrintStream(bytes), Seq(FitSize(1, 1)), 30, () => 0L)
    line.update(Seq(status(0)))
    assert(bytes.toString === "\r" + "epoch 1/1 [>         ]  loss 0.2500  0/1 workers".take(29))
  }

  test("the rate is that of the last seconds") {
    val rate = new Rate
    assert(rate.perSecond.isEmpty)
    (0 to 20).foreach(second =>
      rate.add(second * 1000000000L, if (second <= 10) 0 else (second - 10) * 100L)
    )
    assert(rate.perSecond.contains(100.0))
  }

  test("workers that run elsewhere or have finished are counted") {
    val fit = status(1, worker(4, 0, "finished"), worker(3, 50)) -> FitSize(4, 2)
    val text = ProgressLine.text(Seq(fit), new Rate)
    assert(text.contains("epoch 4/4"))
    assert(text.contains("1/2 workers"))
    assert(text.contains("[=========>]"))
  }

  test("the candidates of a search share one line") {
    val rate = new Rate
    rate.add(0L, 0)
    rate.add(1000000000L, 300)
    val done = status(200, worker(4, 0, "finished")) -> FitSize(4, 1, Some("candidate 1 of 2"))
    val half = status(100, worker(2, 0)) -> FitSize(4, 1, Some("candidate 2 of 2"))
    assert(
      ProgressLine.text(Seq(done, half), rate) ===
        "1/2 candidates [=======>  ]  300 rows/s  1/2 workers  0:01 left"
    )
  }
}
