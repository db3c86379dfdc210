package firesteel.prediction

import firesteel.bridge.NativePredictor
import firesteel.data.{BatchFiller, BatchLimits, Source}
import firesteel.plugin.NativeSetup
import firesteel.util.Resources
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.types.UserDefinedType

/** Predicts one row, in this process and outside any query. */
private[firesteel] object SingleRow {
  private val vectors = VectorType.asInstanceOf[UserDefinedType[Any]]

  /** Returns the first output of a predictor for one row of features.
    *
    * @param predictor
    *   a predictor that reads one column of vectors
    */
  def predict(predictor: Predictor, features: Vector): Array[Double] = {
    NativeSetup.ensureLoaded()
    val source = Source(predictor.data.columns.map(_ -> (0 -> VectorType)).toMap)
    val model = predictor.weights.local
    Resources.use(
      NativePredictor.open(predictor.toJson, () => model.module.orNull, () => model.weights)
    ) { native =>
      Resources.use(SqlPrivate.allocator("firesteel-single-row")) { allocator =>
        Resources.use(new BatchFiller(allocator, predictor.data, source, 0, BatchLimits.Default)) {
          filler =>
            filler.begin(1)
            filler.add(InternalRow(vectors.serialize(features)))
            Resources.use(NativeCall(native, filler, allocator))(outputs =>
              first(outputs.columns.head)
            )
        }
      }
    }
  }

  private def first(output: OutputMatrix): Array[Double] =
    Array.tabulate(output.width)(index => output.vector.get(index))
}
