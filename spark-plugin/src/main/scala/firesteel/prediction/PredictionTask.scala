package firesteel.prediction

import firesteel.data.{DataPlan, Source}
import org.apache.spark.broadcast.Broadcast
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.Attribute
import org.apache.spark.sql.execution.metric.SQLMetric
import org.apache.spark.sql.vectorized.ColumnarBatch

/** What a task needs to predict; travels to the executors.
  *
  * @param spec
  *   the `PredictorSpec` as JSON
  * @param model
  *   the weights, and the module if there is one
  * @param data
  *   the columns the network reads
  * @param source
  *   where they lie in the child's rows
  * @param input
  *   the child's columns
  * @param passed
  *   those that are passed through
  * @param outputs
  *   what is computed
  * @param numOutputRows
  *   counts rows
  * @param numBatches
  *   counts native calls
  * @param nativeTime
  *   the nanoseconds in native calls
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

  /** The result rows of a partition's rows. */
  def rows(child: Iterator[InternalRow]): Iterator[InternalRow] =
    new RowPredictions(this, NativeBatches.open(this), child)

  /** The result batches of a partition's batches. */
  def batches(child: Iterator[ColumnarBatch]): Iterator[ColumnarBatch] =
    new VectorPredictions(this, NativeBatches.open(this), child)
}
