package firesteel.train

import java.io.PrintStream

import org.slf4j.Logger

/** Tells a user how a fit gets on. */
private[train] trait Progress {

  /** Takes the newest state of the fit. */
  def update(status: ServerStatus): Unit

  /** Takes the last state. */
  def finish(status: ServerStatus): Unit
}

/** A line in the log for each epoch that all workers have trained. */
private[train] final class LoggedProgress(log: Logger, epochs: Int, workers: Int) extends Progress {
  private var told = 0

  override def update(status: ServerStatus): Unit =
    status.epochs.filter(e => e.epoch >= told && e.finishedWorkers == workers).foreach { epoch =>
      log.info(f"Epoch ${epoch.epoch + 1}/$epochs: loss ${epoch.loss.getOrElse(Double.NaN)}%.4f")
      told = epoch.epoch + 1
    }

  override def finish(status: ServerStatus): Unit = update(status)
}

/** One line on the console, drawn over and over as Spark draws its own.
  *
  * @param out
  *   the console
  * @param epochs
  *   the epochs of the fit
  * @param workers
  *   its workers
  * @param width
  *   the console's columns
  * @param clock
  *   nanoseconds
  */
private[train] final class ProgressLine(
    out: PrintStream,
    epochs: Int,
    workers: Int,
    width: Int,
    clock: () => Long
) extends Progress {
  private val rate = new Rate
  private var drawn = false

  override def update(status: ServerStatus): Unit = {
    rate.add(clock(), status.rowsTrained)
    draw(ProgressLine.text(status, epochs, workers, rate))
  }

  override def finish(status: ServerStatus): Unit = {
    update(status)
    if (drawn) out.println()
  }

  private def draw(text: String): Unit = {
    // As wide as the console, to cover what Spark's own progress bar drew.
    out.print("\r" + text.take(width - 1).padTo(width - 1, ' '))
    out.flush()
    drawn = true
  }
}

/** Rows a second over the last few seconds. */
private[train] final class Rate {
  private val Window = 5e9
  private var samples = Vector.empty[(Long, Long)]

  def add(nanos: Long, rows: Long): Unit = {
    samples :+= nanos -> rows
    // One sample from before the window stays, so that it is covered as a whole.
    while (samples.size > 2 && (nanos - samples(1)._1).toDouble > Window) samples = samples.tail
  }

  /** None before any row was trained. */
  def perSecond: Option[Double] = for {
    (from, before) <- samples.headOption
    (until, after) <- samples.lastOption
    if after > before && until > from
  } yield (after - before).toDouble * 1e9 / (until - from).toDouble
}

private[train] object ProgressLine {
  private val BarWidth = 10
  private val DefaultWidth = 80

  /** On standard error, as wide as the console. */
  def onConsole(epochs: Int, workers: Int): ProgressLine = {
    val width = sys.env.get("COLUMNS").flatMap(_.toIntOption).filter(_ > 1).getOrElse(DefaultWidth)
    new ProgressLine(System.err, epochs, workers, width, () => System.nanoTime())
  }

  def text(status: ServerStatus, epochs: Int, workers: Int, rate: Rate): String = {
    val done = fraction(status, epochs, workers)
    val epoch = math.min(epochs, status.workers.map(_.epoch).minOption.getOrElse(0) + 1)
    val live = status.workers.count(_.state == "live")
    val parts = Seq(
      Some(s"epoch $epoch/$epochs ${bar(done)}"),
      status.recentLoss.map(loss => f"loss $loss%.4f"),
      rate.perSecond.map(rows => f"$rows%,.0f rows/s"),
      Some(s"$live/$workers workers"),
      status.resumed.map(from => s"resumed in epoch ${math.min(epochs, from.epoch + 1)}"),
      left(status, done, rate).map(seconds => s"${clock(seconds)} left")
    )
    parts.flatten.mkString("  ")
  }

  private def bar(done: Double): String = {
    val full = (done * BarWidth).toInt
    val head = if (full < BarWidth) ">" else ""
    "[" + "=" * full + head + " " * (BarWidth - full - head.length) + "]"
  }

  /** How much of all mini-batches is trained; a worker that has not registered has trained none. */
  private def fraction(status: ServerStatus, epochs: Int, workers: Int): Double = {
    val each = status.workers.map { worker =>
      val within = if (worker.batches == 0) 0.0 else worker.batch.toDouble / worker.batches
      if (worker.state == "finished") 1.0 else (worker.epoch + within) / epochs
    }
    math.min(1.0, each.sum / workers)
  }

  private def left(status: ServerStatus, done: Double, rate: Rate): Option[Long] =
    rate.perSecond.filter(_ => done > 0).map { perSecond =>
      math.ceil(status.rowsTrained.toDouble * (1 - done) / done / perSecond).toLong
    }

  private def clock(seconds: Long): String =
    if (seconds >= 3600) f"${seconds / 3600}%d:${seconds / 60 % 60}%02d:${seconds % 60}%02d"
    else f"${seconds / 60}%d:${seconds % 60}%02d"
}
