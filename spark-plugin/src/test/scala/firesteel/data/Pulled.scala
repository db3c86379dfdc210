package firesteel.data

import scala.jdk.CollectionConverters._

import firesteel.util.Resources
import org.apache.arrow.c.{ArrowArrayStream, Data}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.firesteel.SqlPrivate

/** The content of one task's stream.
  *
  * @param partition
  *   the stream's partition
  * @param schema
  *   its Arrow schema as text
  * @param rows
  *   its rows: a value for each column, lists as `Seq`
  * @param batches
  *   the rows of each batch
  */
final case class Pulled(
    partition: Int,
    schema: String,
    rows: Seq[Seq[Any]],
    batches: Seq[Int]
)

/** Pulls streams from the other side of the C interface, as native code does. */
object Pulled {

  /** All streams of a read, in the order of their partitions. */
  def from(df: DataFrame, plan: DataPlan, tasks: Int): Seq[Pulled] =
    PartitionReader.runTasks(df, plan, tasks)(of).rdd.collect().toSeq

  /** The rows of all streams, each as its values. */
  def rows(df: DataFrame, plan: DataPlan, tasks: Int): Seq[Seq[Any]] =
    from(df, plan, tasks).flatMap(_.rows)

  /** One stream. */
  def of(stream: PartitionStream): Pulled = {
    val rows = Seq.newBuilder[Seq[Any]]
    val batches = Seq.newBuilder[Int]
    var schema = ""
    stream.feed { address =>
      Resources.use(SqlPrivate.allocator("pulled")) { allocator =>
        Resources.use(Data.importArrayStream(allocator, ArrowArrayStream.wrap(address))) { reader =>
          val root = reader.getVectorSchemaRoot
          schema = root.getSchema.toString
          while (reader.loadNextBatch()) {
            batches += root.getRowCount
            for (row <- 0 until root.getRowCount)
              rows += root.getFieldVectors.asScala.toSeq.map(vector => plain(vector.getObject(row)))
          }
        }
      }
    }
    Pulled(stream.partition, schema, rows.result(), batches.result())
  }

  private def plain(value: Any): Any = value match {
    case list: java.util.List[_] => list.asScala.toSeq
    case other => other
  }
}
