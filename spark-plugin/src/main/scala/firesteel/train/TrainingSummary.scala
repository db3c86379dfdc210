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
    warnings: Seq[String]
) {

  /** The mean loss of each epoch. */
  def losses: Seq[Double] = epochs.map(_.loss)

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
  */
final case class EpochSummary(epoch: Int, loss: Double, rows: Long)

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
  */
final case class LedgerEntry(
    partition: Int,
    index: Int,
    epoch: Int,
    rows: Long,
    spans: Seq[LedgerSpan],
    supersededRows: Long
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
    status.epochs.map(e => EpochSummary(e.epoch, e.loss.getOrElse(Double.NaN), e.rows)),
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
    status.warnings
  )
}
