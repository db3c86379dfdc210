package firesteel.prediction

import firesteel.data.{DataPlan, Source}
import org.apache.spark.broadcast.Broadcast
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.Attribute
import org.apache.spark.sql.execution.metric.SQLMetric
import org.apache.spark.sql.vectorized.ColumnarBatch

/** The data that a prediction task needs; serialized to the executors.
  *
  * @param spec
  *   the `PredictorSpec` as JSON
  * @param model
  *   the weights, and the module if there is one
  * @param data
  *   the columns of the network's inputs
  * @param source
  *   the positions of these columns among those that are read
  * @param input
  *   the columns that are read
  * @param passed
  *   the columns that pass through
  * @param outputs
  *   the outputs
  * @param numOutputRows
  *   the counter of rows
  * @param numBatches
  *   the counter of native calls
  * @param nativeTime
  *   the counter of nanoseconds in native calls
  */
private[prediction] final case class PredictionTask(
    spec: String,
    model: Broadcast[ModelBytes],
    data: DataPlan,
    source: Source,
    input: Seq[Attribute],
    passed: Seq[Attribute],
    outputs: Seq[OutputKind],
    numOutputRows: SQLMetric,
    numBatches: SQLMetric,
    nativeTime: SQLMetric
) {

  /** Returns the result rows of a partition's rows. */
  def rows(child: Iterator[InternalRow]): Iterator[InternalRow] =
    new RowPredictions(this, NativeBatches.open(this), child)

  /** Returns the result rows of a partition of a cache. */
  def rowsOfCache(cached: Iterator[ColumnarBatch]): Iterator[InternalRow] =
    new CachePredictions(this, NativeBatches.open(this), cached)

  /** Returns the result batches of a partition's batches. */
  def batches(child: Iterator[ColumnarBatch]): Iterator[ColumnarBatch] =
    new VectorPredictions(this, NativeBatches.open(this), child)
}
