package firesteel.fit

import java.time.format.DateTimeFormatter
import java.time.{Instant, ZoneOffset}

import firesteel.summary.{EpochStatus, ServerStatus, TrainingSummary, ValidationSummary}
import org.apache.spark.SparkContext
import org.json4s.JsonAST.{JDouble, JInt, JNull, JObject, JString, JValue}

/** A fit whose events are written.
  *
  * @param size
  *   its epochs and workers
  * @param strategy
  *   the name of its strategy
  * @param validated
  *   true if rows are held out for validation
  */
private[firesteel] final case class ReportedFit(size: FitSize, strategy: String, validated: Boolean)

/** The progress as events in a file, for programs that follow fits; docs/summary.md describes them.
  *
  * @param file
  *   the event file of the application
  * @param application
  *   the id of the application
  * @param fits
  *   the fits of the job
  * @param clock
  *   returns the time in nanoseconds
  */
private[firesteel] final class ProgressEvents(
    file: EventFile,
    application: String,
    fits: Seq[ReportedFit],
    clock: () => Long
) extends Progress {
  import ProgressEvents._

  private val reports = fits.map(new Report(_, file.nextFit()))

  file.append(reports.map(_.start))

  override def update(statuses: Seq[ServerStatus]): Unit = append(statuses, last = false)

  override def finish(statuses: Seq[ServerStatus]): Unit = append(statuses, last = true)

  override def complete(summaries: Seq[TrainingSummary]): Unit =
    file.append(reports.zip(summaries).map { case (report, summary) => report.result(summary) })

  private def append(statuses: Seq[ServerStatus], last: Boolean): Unit =
    file.append(reports.zip(statuses).flatMap { case (report, status) => report.of(status, last) })

  /** The events of one fit. */
  private final class Report(fit: ReportedFit, index: Int) {
    private val size = fit.size
    private var epochs = 0
    private var progress = (0L, 0)
    private var progressTime = clock()

    def start: JObject = event(
      "fit",
      "epochs" -> JInt(size.epochs),
      "workers" -> JInt(size.workers),
      "strategy" -> JString(fit.strategy),
      "application" -> JString(application)
    )

    /** Returns the events since the previous call. The last call does not wait for missing scores. */
    def of(status: ServerStatus, last: Boolean): Seq[JObject] = {
      val ended = status.epochs.drop(epochs).takeWhile { epoch =>
        epoch.finishedWorkers == size.workers && (last || isScored(epoch))
      }
      epochs += ended.size
      ended.map(ofEpoch) ++ ofProgress(status.rowsTrained, last)
    }

    def result(summary: TrainingSummary): JObject = event(
      "result",
      "seconds" -> number(Some(summary.seconds)),
      "rows" -> JInt(summary.rowsTrained)
    )

    private def isScored(epoch: EpochStatus): Boolean = !fit.validated || epoch.validation.nonEmpty

    private def ofEpoch(epoch: EpochStatus): JObject = event(
      "epoch",
      "epoch" -> JInt(epoch.epoch + 1),
      "epochs" -> JInt(size.epochs),
      "loss" -> number(epoch.loss),
      "metrics" -> epoch.validation.fold(JObject())(metrics)
    )

    private def ofProgress(rows: Long, last: Boolean): Option[JObject] = {
      val now = clock()
      val due = last || now - progressTime >= ProgressNanos
      Option.when(due && progress != (rows -> epochs)) {
        progress = rows -> epochs
        progressTime = now
        event(
          "progress",
          "rows" -> JInt(rows),
          "epoch" -> JInt(epochs),
          "epochs" -> JInt(size.epochs)
        )
      }
    }

    private def event(kind: String, data: (String, JValue)*): JObject = JObject(
      "time" -> JString(Time.format(Instant.now())),
      "type" -> JString(kind),
      "data" -> JObject(("fit" -> JInt(index)) :: data.toList)
    )
  }
}

private[firesteel] object ProgressEvents {
  private val ProgressNanos = 1000000000L

  private val Time =
    DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC)

  /** Writes the start of fits to the event file of the application, and returns their progress; none if the application
    * has no event file.
    */
  def of(context: SparkContext, fits: Seq[ReportedFit]): Option[ProgressEvents] =
    EventFile
      .of(context)
      .map(new ProgressEvents(_, context.applicationId, fits, () => System.nanoTime()))

  private def metrics(scores: ValidationSummary): JObject = JObject(
    ("validationLoss" -> number(scores.loss)) ::
      scores.metrics.map(metric => metric.name -> number(metric.value)).toList
  )

  /** JSON has no notation for NaN and infinite numbers. */
  private def number(value: Option[Double]): JValue =
    value.filter(_.isFinite).fold[JValue](JNull)(JDouble(_))
}
