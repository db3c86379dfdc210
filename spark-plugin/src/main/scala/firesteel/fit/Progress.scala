package firesteel.fit

import java.io.PrintStream

import firesteel.summary.{ServerStatus, TrainingSummary}
import org.slf4j.Logger

/** The progress of the fits of one job, shown to a user or a program. */
private[firesteel] trait Progress {

  /** Shows the newest state of each fit. */
  def update(statuses: Seq[ServerStatus]): Unit

  /** Shows the last state of each fit. */
  def finish(statuses: Seq[ServerStatus]): Unit

  /** Shows the result of each fit, after [[finish]], if the job has succeeded. */
  def complete(summaries: Seq[TrainingSummary]): Unit = ()
}

/** Several forms of the same progress. */
private[firesteel] final class CombinedProgress(forms: Seq[Progress]) extends Progress {
  override def update(statuses: Seq[ServerStatus]): Unit = forms.foreach(_.update(statuses))

  override def finish(statuses: Seq[ServerStatus]): Unit = forms.foreach(_.finish(statuses))

  override def complete(summaries: Seq[TrainingSummary]): Unit =
    forms.foreach(_.complete(summaries))
}

/** The size of a fit.
  *
  * @param candidate
  *   the description of the fit, if it is one of several
  */
private[firesteel] final case class FitSize(
    epochs: Int,
    workers: Int,
    candidate: Option[String] = None
)

/** Logs a line for each epoch that all workers of a fit have trained. */
private[firesteel] final class LoggedProgress(log: Logger, fits: Seq[FitSize]) extends Progress {
  private val loggedEpochs = Array.fill(fits.size)(0)

  override def update(statuses: Seq[ServerStatus]): Unit =
    for {
      ((status, fit), index) <- statuses.zip(fits).zipWithIndex
      epoch <- status.epochs
      if epoch.epoch >= loggedEpochs(index) && epoch.finishedWorkers == fit.workers
    } {
      val name = fit.candidate.fold("")(_ + ": ")
      val loss = epoch.loss.getOrElse(Double.NaN)
      log.info(f"${name}Epoch ${epoch.epoch + 1}/${fit.epochs}: loss $loss%.4f")
      loggedEpochs(index) = epoch.epoch + 1
    }

  override def finish(statuses: Seq[ServerStatus]): Unit = update(statuses)
}

/** A progress line on the console, redrawn as Spark redraws its own.
  *
  * @param out
  *   the console
  * @param fits
  *   the fits of the job
  * @param width
  *   the number of columns of the console
  * @param clock
  *   returns the time in nanoseconds
  */
private[firesteel] final class ProgressLine(
    out: PrintStream,
    fits: Seq[FitSize],
    width: Int,
    clock: () => Long
) extends Progress {
  private val rate = new Rate
  private var drawn = false

  override def update(statuses: Seq[ServerStatus]): Unit = {
    rate.add(clock(), statuses.map(_.rowsTrained).sum)
    draw(ProgressLine.text(statuses.zip(fits), rate))
  }

  override def finish(statuses: Seq[ServerStatus]): Unit = {
    update(statuses)
    if (drawn) out.println()
  }

  private def draw(text: String): Unit = {
    // As wide as the console, to cover what Spark's own progress bar drew.
    out.print("\r" + text.take(width - 1).padTo(width - 1, ' '))
    out.flush()
    drawn = true
  }
}

/** The number of rows a second over the last few seconds. */
private[firesteel] final class Rate {
  private val Window = 5e9
  private var samples = Vector.empty[(Long, Long)]

  def add(nanos: Long, rows: Long): Unit = {
    samples :+= nanos -> rows
    // One sample from before the window is kept, so that the samples cover the whole window.
    while (samples.size > 2 && (nanos - samples(1)._1).toDouble > Window) samples = samples.tail
  }

  /** The current rate; none before the first row was trained. */
  def perSecond: Option[Double] = for {
    (from, before) <- samples.headOption
    (until, after) <- samples.lastOption
    if after > before && until > from
  } yield (after - before).toDouble * 1e9 / (until - from).toDouble
}

private[firesteel] object ProgressLine {
  private val BarWidth = 10
  private val DefaultWidth = 80

  /** Returns a progress line on standard error, as wide as the console. */
  def onConsole(fits: Seq[FitSize]): ProgressLine = {
    val width = sys.env.get("COLUMNS").flatMap(_.toIntOption).filter(_ > 1).getOrElse(DefaultWidth)
    new ProgressLine(System.err, fits, width, () => System.nanoTime())
  }

  def text(fits: Seq[(ServerStatus, FitSize)], rate: Rate): String = {
    val done = fits.map { case (status, size) => fraction(status, size) }.sum / fits.size
    val live = fits.map { case (status, _) => status.workers.count(_.state == "live") }.sum
    val head = fits match {
      case Seq((status, size)) =>
        val epoch = math.min(size.epochs, status.workers.map(_.epoch).minOption.getOrElse(0) + 1)
        Seq(
          Some(s"epoch $epoch/${size.epochs} ${bar(done)}"),
          status.recentLoss.map(loss => f"loss $loss%.4f")
        )
      case several =>
        val finished = several.count { case (status, size) => status.isFinished(size.workers) }
        Seq(Some(s"$finished/${several.size} candidates ${bar(done)}"))
    }
    val tail = Seq(
      rate.perSecond.map(rows => f"$rows%,.0f rows/s"),
      Some(s"$live/${fits.map(_._2.workers).sum} workers"),
      resumed(fits),
      left(fits.map(_._1.rowsTrained).sum, done, rate).map(seconds => s"${clock(seconds)} left")
    )
    (head ++ tail).flatten.mkString("  ")
  }

  private def resumed(fits: Seq[(ServerStatus, FitSize)]): Option[String] = fits match {
    case Seq((status, size)) =>
      status.resumed.map(from => s"resumed in epoch ${math.min(size.epochs, from.epoch + 1)}")
    case several => Some(several.count(_._1.resumed.nonEmpty)).filter(_ > 0).map(n => s"$n resumed")
  }

  private def bar(done: Double): String = {
    val full = (done * BarWidth).toInt
    val head = if (full < BarWidth) ">" else ""
    "[" + "=" * full + head + " " * (BarWidth - full - head.length) + "]"
  }

  /** Returns the fraction of all mini-batches that is trained; a worker that has not registered has trained none. */
  private def fraction(status: ServerStatus, size: FitSize): Double = {
    val each = status.workers.map { worker =>
      val within = if (worker.batches == 0) 0.0 else worker.batch.toDouble / worker.batches
      if (worker.state == "finished") 1.0 else (worker.epoch + within) / size.epochs
    }
    math.min(1.0, each.sum / size.workers)
  }

  private def left(rows: Long, done: Double, rate: Rate): Option[Long] =
    rate.perSecond.filter(_ => done > 0).map { perSecond =>
      math.ceil(rows.toDouble * (1 - done) / done / perSecond).toLong
    }

  private def clock(seconds: Long): String =
    if (seconds >= 3600) f"${seconds / 3600}%d:${seconds / 60 % 60}%02d:${seconds % 60}%02d"
    else f"${seconds / 60}%d:${seconds % 60}%02d"
}
