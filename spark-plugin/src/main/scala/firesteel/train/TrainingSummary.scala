package firesteel.train

import org.json4s.jackson.{JsonMethods, Serialization}
import org.json4s.{DefaultFormats, Formats}

/** What happened in a fit.
  *
  * @param epochs
  *   loss and rows of each epoch
  * @param rowsTrained
  *   rows trained in all epochs
  * @param seconds
  *   how long the training job ran, reading the data included, and that of an interrupted fit which this one went on from
  * @param workers
  *   the workers of the fit
  * @param tasks
  *   the Spark tasks that they ran in
  * @param commits
  *   the updates that the parameter server applied, or the replicas it stored
  * @param bytes
  *   what the parameter server sent and received over sockets
  * @param stalenessMean
  *   how many updates of others a commit came after, at the mean
  * @param stalenessMax
  *   and at most
  * @param stalenessHistogram
  *   how many commits came after 0, 1, 2 and so on
  * @param ledger
  *   which mini-batches were applied, by worker and epoch
  * @param warnings
  *   what the user should know
  * @param bestEpoch
  *   the best epoch by what early stopping watches, counted from 0; none where nothing is judged
  * @param stopped
  *   why the training ended before its last epoch, if it did: `patience`, `targetLoss`, `targetMetric`, `maxSeconds`
  */
final case class TrainingSummary(
    epochs: Seq[EpochSummary],
    rowsTrained: Long,
    seconds: Double,
    workers: Int,
    tasks: Int,
    commits: Long,
    bytes: Long,
    stalenessMean: Double,
    stalenessMax: Long,
    stalenessHistogram: Seq[Long],
    ledger: Seq[LedgerEntry],
    warnings: Seq[String],
    bestEpoch: Option[Int] = None,
    stopped: Option[String] = None
) {

  /** The mean loss of each epoch. */
  def losses: Seq[Double] = epochs.map(_.loss)

  /** The mean loss of the validation rows after each epoch that was scored. */
  def validationLosses: Seq[Double] = epochs.flatMap(_.validation).flatMap(_.loss)

  /** A metric of the validation rows after each epoch for which it is defined. */
  def validationMetric(name: String): Seq[Double] =
    epochs.flatMap(_.validation).flatMap(_.metric(name))

  /** The rows trained in a second. */
  def rowsPerSecond: Double = rowsTrained.toDouble / seconds

  private[firesteel] def toJson: String = Serialization.write(this)(TrainingSummary.formats)
}

/** One pass over the data.
  *
  * @param epoch
  *   counted from 0
  * @param loss
  *   the mean of the rows' losses by their weights, each taken when the row was trained
  * @param rows
  *   the rows trained
  * @param learningRate
  *   the mean of the workers' learning rates at its end
  * @param validation
  *   what the validation rows came to at its end, if there are any
  */
final case class EpochSummary(
    epoch: Int,
    loss: Double,
    rows: Long,
    learningRate: Option[Double] = None,
    validation: Option[ValidationSummary] = None
)

/** What validation rows came to.
  *
  * @param version
  *   how often the center variable that was scored had been updated
  * @param rows
  *   the rows
  * @param loss
  *   the mean of their losses by their weights; none where they weigh nothing
  * @param metrics
  *   the metrics that were asked for
  */
final case class ValidationSummary(
    version: Long,
    rows: Long,
    loss: Option[Double],
    metrics: Seq[MetricSummary]
) {

  /** The value of a metric, if it was asked for and is defined. */
  def metric(name: String): Option[Double] = metrics.find(_.name == name).flatMap(_.value)
}

/** What a metric came to.
  *
  * @param name
  *   as it was asked for
  * @param value
  *   none where it is undefined, such as the AUC of rows of one class, and for a confusion matrix
  * @param errorBound
  *   how far the value may be from the exact one, of the AUC
  * @param matrix
  *   the rows' weights by class and predicted class, of the confusion matrix
  */
final case class MetricSummary(
    name: String,
    value: Option[Double],
    errorBound: Option[Double] = None,
    matrix: Option[Seq[Seq[Double]]] = None
)

/** What of one epoch of one worker was applied.
  *
  * @param partition
  *   the worker's partition
  * @param index
  *   which of the workers that share the partition's task
  * @param epoch
  *   counted from 0
  * @param rows
  *   the rows applied
  * @param spans
  *   the mini-batches that each attempt applied, in order
  * @param supersededRows
  *   rows that had been applied when a retry brought other rows and the epoch started again
  * @param loss
  *   the mean of the rows' losses by their weights
  * @param learningRate
  *   that of the last mini-batch
  * @param validation
  *   what this worker's validation rows came to, if it has any
  */
final case class LedgerEntry(
    partition: Int,
    index: Int,
    epoch: Int,
    rows: Long,
    spans: Seq[LedgerSpan],
    supersededRows: Long,
    loss: Option[Double] = None,
    learningRate: Option[Double] = None,
    validation: Option[ValidationSummary] = None
)

/** Consecutive mini-batches that one attempt of a task applied.
  *
  * @param attempt
  *   Spark's `taskAttemptId`; -1 stands for those of an interrupted fit which this one went on from
  * @param start
  *   the first mini-batch, counted from 0
  * @param batches
  *   how many
  * @param rows
  *   their rows
  */
final case class LedgerSpan(attempt: Long, start: Int, batches: Int, rows: Long)

private[firesteel] object TrainingSummary {
  private val formats: Formats = DefaultFormats

  def fromJson(json: String): TrainingSummary =
    JsonMethods.parse(json).extract[TrainingSummary](formats, implicitly)

  private[train] def of(
      status: ServerStatus,
      kept: ServerSummary,
      workers: Int,
      tasks: Int,
      seconds: Double
  ): TrainingSummary = TrainingSummary(
    status.epochs.zipWithIndex.map { case (e, index) =>
      // Those of the end hold the confusion matrices as well.
      val validation = kept.evaluations.lift(index).orElse(e.validation)
      EpochSummary(e.epoch, e.loss.getOrElse(Double.NaN), e.rows, e.learningRate, validation)
    },
    status.rowsTrained,
    seconds + status.resumed.fold(0.0)(_.millis.toDouble / 1e3),
    workers,
    tasks,
    status.commits,
    status.bytes,
    status.workers.map(_.stalenessSum).sum.toDouble / math.max(1L, status.commits).toDouble,
    status.workers.map(_.stalenessMax).maxOption.getOrElse(0L),
    kept.stalenessHistogram,
    kept.ledger,
    status.warnings,
    status.bestEpoch,
    status.stopped
  )
}
